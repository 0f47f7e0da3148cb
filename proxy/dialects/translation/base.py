"""The face of a dialect in a translation: requests and answers, each to neutral terms and from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from proxy.dialects.translation.answer_losses import CitationMembers
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.parts import AnswerPart
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import GatewayError


class EncodingTarget(Struct, frozen=True):
    """Where a request goes. ``model``: the provider's name. ``issuer``: of blobs that it can read, see ``blobs.py``."""

    model: str
    facts: ModelFacts
    issuer: str = ""


class RequestDecoder(ABC):
    """Reads a request body into neutral terms. Stateless."""

    __slots__ = ()

    @abstractmethod
    def decode(self, body: bytes) -> Conversation:
        """Raises ClientFault with the member that is wrong, Untranslatable for content that no other dialect has."""


class RequestEncoder(ABC):
    """Makes a request body of neutral terms. Stateless."""

    __slots__ = ()

    @abstractmethod
    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        """The members of the body, to be encoded as JSON. Raises Untranslatable.

        Raises ContentAbsent if the request names content by an address that the provider does not take.
        Never changes the conversation, which may be encoded again for another provider. Adds all tools to ``names``.
        """


class AnswerDecoder(ABC):
    """Reads one answer into neutral parts. What it cannot read it leaves out: a provider's errors are not its task."""

    __slots__ = ()

    def plain(self, block: bytes) -> AnswerPart | None:
        """The only part of a block that is one well-formed event of plain content. Called once per token.

        ``None`` claims nothing: ``decode`` is called next.
        """
        return None

    @abstractmethod
    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        """The parts of any block, which may be a comment or not JSON. Never raises."""

    def end(self) -> Sequence[AnswerPart]:
        """The parts that were kept back until the end of the stream."""
        return ()

    @abstractmethod
    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        """The parts of a whole JSON answer, which was found to be one. Never raises."""


class OneChoiceDecoder(AnswerDecoder):
    """Reads one choice of an answer, in a dialect whose answers may have several.

    ``choices``: the member of an event that lists them, each with its ``index``.
    """

    __slots__ = ()

    choices: ClassVar[str]

    @abstractmethod
    def read(self, event: JsonObject) -> Iterable[AnswerPart]:
        """The parts of a decoded event, or of a whole answer, for the choice with the index 0. Never raises."""


class AnswerContext(Struct, frozen=True):
    """What the answer to a request is made with.

    ``id``: unique in the process, of letters, digits, ``_`` and ``-``. ``created``: Unix seconds. ``model``: the name
    that the answer must have, ``""``: the provider's. ``input_tokens``: an estimate. ``issuer``: of the answer's blobs.
    ``choice``: index of the choice that is made with it.
    """

    request: Conversation
    id: str
    created: int
    model: str = ""
    input_tokens: int = 0
    issuer: str = ""
    choice: int = 0


class StreamEncoder(ABC):
    """Makes the events of one stream for a client.

    ``sequential``: it needs the arguments of one call whole before the next call begins. All calls have an id.
    ``cites``: what answers have of a source, whole ones as well.
    ``sequence``: number of the last event, -1 where events have none.
    """

    __slots__ = ("context", "sequence")

    sequential: ClassVar[bool] = False
    cites: ClassVar[CitationMembers] = CitationMembers()

    def __init__(self, context: AnswerContext) -> None:
        self.context = context
        self.sequence = -1

    @abstractmethod
    def encode(self, part: AnswerPart) -> bytes:
        """Events for a part, ``b""`` for none. Called once per token."""

    @abstractmethod
    def finish(self) -> bytes:
        """The last events of a complete answer, up to the terminal one."""

    @abstractmethod
    def failed(self, fault: GatewayError) -> bytes:
        """The last events of an answer that broke."""


class EventEncoder(Protocol):
    """What the translation of a stream needs of a ``StreamEncoder``, or of those of several choices."""

    @property
    def sequential(self) -> bool: ...

    @property
    def cites(self) -> CitationMembers: ...

    def encode(self, part: AnswerPart) -> bytes: ...

    def finish(self) -> bytes: ...

    def failed(self, fault: GatewayError) -> bytes: ...


class OneChoiceEncoder(StreamEncoder):
    """Makes the events of one choice, in a dialect whose answers may have several.

    The usage of all choices is encoded with the one that finishes last.
    """

    __slots__ = ()

    def finish_choice(self) -> bytes:
        """The last events of a choice after which another one finishes: ``finish`` without the terminal event."""
        return self.finish()


# A whole answer for a client, as JSON.
EncodeAnswer = Callable[[AnswerContext, Iterable[AnswerPart]], bytes]


class ClientSide(Struct, frozen=True):
    """A dialect as that of a client whose calls are translated.

    ``starts_with_usage``: streams begin with the usage of the input, so it must be estimated. ``names``: what clients
    call members that encoders name as chat does, such as ``top_k``.
    """

    decode_request: RequestDecoder
    encode_stream: type[StreamEncoder]
    encode_answer: EncodeAnswer
    starts_with_usage: bool = False
    names: Mapping[str, str] = {}


class ProviderSide(Struct, frozen=True):
    """A dialect as that of a provider that calls are translated for.

    ``name_limit``: most characters of a tool's name. ``letter_first``: it begins with a letter or ``_``.
    ``header_lines``: what requests need beside the body.
    """

    encode_request: RequestEncoder
    decode_answer: type[AnswerDecoder]
    name_limit: int = 64
    letter_first: bool = False
    header_lines: bytes = b""
