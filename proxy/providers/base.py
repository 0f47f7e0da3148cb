"""The face of a kind of provider: where its endpoints are, how it takes a credential, what its refusals mean."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal
from urllib.parse import unquote

from msgspec import Struct

from proxy.config.provider_schema import CredentialName, ProviderSettings, WireDialect
from proxy.dialects.call import Call
from proxy.providers import refusal
from proxy.providers.credential_source import CredentialSource
from proxy.providers.model_list import ModelList
from proxy.providers.refusal import Refusal

# How a model embeds texts of clients of other dialects. ``""``: by the endpoint of the provider's dialect; ``vertex``:
# by the same in Vertex AI's form; ``predict``: by Vertex AI's method of this name.
EmbeddingMethod = Literal["", "vertex", "predict"]


class CallChanges(Struct, frozen=True):
    """``members``: new members of the body (JSON bytes), ``None`` to remove one. ``action``: what follows the last
    colon of the path; ``""``: as ``ProviderKind.target`` has it.
    """

    members: Mapping[str, bytes | None]
    action: str = ""


class ProviderKind(ABC):
    """Stateless. One object serves all providers of the kind.

    ``credential``: how it takes a key. ``wires``: the dialects that it speaks at its base URL. ``own``: the one of
    them whose address has the list of models. ``model_list``: that list. ``in_path``: every path names the model.
    ``cloud``: it may need ``call_changes`` or ``source``, which all others are served without.
    """

    credential: ClassVar[CredentialName]
    wires: ClassVar[frozenset[WireDialect]]
    own: ClassVar[WireDialect] = "chat"
    model_list: ClassVar[ModelList] = ModelList()
    in_path: ClassVar[bool] = False
    cloud: ClassVar[bool] = False

    @abstractmethod
    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        """The request path for the endpoint ``path``, without a query.

        ``base`` is the base URL's path without a slash at its end, ``query`` the base URL's query. ``model`` is the
        provider's name of the model, ``None`` where only the body names it.
        """

    def address(self, base_url: str, wire: WireDialect) -> str:
        """The base URL of one of ``wires``, for a provider at ``base_url``."""
        return base_url

    def parameters(self, path: str) -> str:
        """The query that every request to this endpoint needs, ``""`` for none."""
        return ""

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        """Names, in lower case, of clients' query parameters that the provider must not get.

        ``base`` and ``query`` as in ``target``.
        """
        return frozenset()

    def wires_of(self, model: str) -> frozenset[WireDialect]:
        """Those of ``wires`` that this model of the provider's has."""
        return self.wires

    def embeds_by(self, model: str) -> EmbeddingMethod:
        """How this model of the provider's embeds texts, if it does."""
        return ""

    def counts_at(self, base_url: str) -> frozenset[WireDialect]:
        """Those of ``wires`` in which it is known to count tokens at this address."""
        return frozenset()

    def accepts_name(self, model: str) -> bool:
        """Whether a client may choose this name of a model, which the configuration does not have."""
        return True

    def call_changes(self, path: str, call: Call, version: str) -> CallChanges | None:
        """What a JSON call to the endpoint ``path`` needs; ``version``: the client's header ``anthropic-version``."""
        return None

    def source(self, settings: ProviderSettings) -> CredentialSource | None:
        """Where the credential of a provider without keys comes from; ``None``: it needs none."""
        return None

    def mistake(self, settings: ProviderSettings) -> str:
        """What is wrong with the settings of a provider that has a ``source``: ``.key: text``, or ``""``."""
        return ""

    def read_refusal(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, wall_time: float
    ) -> Refusal:
        """The meaning of an answer with an error status; ``wall_time`` in Unix seconds."""
        return refusal.read(status, headers, body, wall_time)


def safe_in_path(model: str) -> bool:
    """Whether a client's name of a model may go into a request path.

    Some servers decode %2F, and then resolve dot segments: another model than the one that was checked. Twice, as they
    may decode it again.
    """
    return {".", ".."}.isdisjoint(re.split(r"[/\\]", unquote(unquote(model))))
