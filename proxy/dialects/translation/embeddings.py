"""Texts to embed and their vectors in neutral terms, and the face of a dialect that has embeddings."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from proxy.dialects.translation.members import JsonObject
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer

Vector = list[float]


class EmbeddingRequest(Struct):
    """Texts, each of which gets one vector.

    ``dimensions``: numbers of a vector, ``None``: as many as the model gives. ``packed``: the client wants base64
    instead of numbers. ``dropped``: members that no other dialect has, by their path.
    """

    texts: list[str]
    dimensions: int | None = None
    packed: bool = False
    dropped: tuple[str, ...] = ()


class EmbeddingAnswer(Struct):
    """Vectors in the order of the texts. ``None`` and ``""``: not reported by the provider."""

    vectors: list[Vector]
    usage: Usage | None = None
    model: str = ""

    def check(self, texts: int) -> None:
        """Raises BrokenAnswer unless each of so many texts has a vector."""
        if len(self.vectors) != texts:
            raise BrokenAnswer(f"The provider's answer has {len(self.vectors)} vectors for {texts} texts.")
        if not all(self.vectors):
            raise BrokenAnswer("The provider's answer has an empty vector.")


class EmbeddingClient(Struct, frozen=True):
    """A dialect as that of a client whose texts are embedded by a provider of another one.

    ``decode_request`` raises ClientFault with the member that is wrong, Untranslatable for what is no text.
    ``encode_answer`` raises BrokenAnswer for a vector that the client's form cannot hold. ``needs_usage``: clients
    require the usage, so that an unknown one is 0. ``texts``: the member that has them, which encoders call ``input``.
    """

    decode_request: Callable[[bytes], EmbeddingRequest]
    encode_answer: Callable[[EmbeddingRequest, EmbeddingAnswer], bytes]
    needs_usage: bool = False
    texts: str = "input"


class EmbeddingProvider(Struct, frozen=True):
    """A dialect as that of a provider that embeds the texts.

    ``encode_request`` gets the provider's name of the model, and returns the members of the body. It raises
    Untranslatable. ``decode_answer`` raises BrokenAnswer.
    """

    encode_request: Callable[[EmbeddingRequest, str], JsonObject]
    decode_answer: Callable[[bytes], EmbeddingAnswer]
