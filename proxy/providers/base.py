"""The face of a kind of provider: where its endpoints are, how it takes a credential, what its refusals mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from proxy.providers import refusal
from proxy.providers.refusal import Refusal


class ProviderKind(ABC):
    """Stateless. One object serves all providers of the kind.

    ``credential_header`` is the header of the credential, in lower case. ``dropped_parameters`` are query parameters
    of clients, in lower case, that mean nothing to the provider.
    """

    credential_header: str
    dropped_parameters: frozenset[str] = frozenset()

    @abstractmethod
    def credential_line(self, key: str) -> bytes:
        """The header line that carries ``key``, with its CR LF."""

    @abstractmethod
    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        """The request path for the endpoint ``path``, without a query.

        ``base`` is the base URL's path without a slash at its end, ``query`` the base URL's query. ``model`` is the
        provider's name of the model, ``None`` where only the body names it.
        """

    def read_refusal(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, wall_time: float
    ) -> Refusal:
        """The meaning of an answer with an error status; ``wall_time`` in Unix seconds."""
        return refusal.read(status, headers, body, wall_time)
