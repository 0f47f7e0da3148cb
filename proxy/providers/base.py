"""The face of a kind of provider: where its endpoints are, how it takes a credential, what its refusals mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from proxy.providers import refusal
from proxy.providers.refusal import Refusal


class ProviderKind(ABC):
    """Stateless. One object serves all providers of the kind.

    ``credential_header`` is the header of the credential, in lower case.
    """

    credential_header: str

    @abstractmethod
    def credential_line(self, key: str) -> bytes:
        """The header line that carries ``key``, with its CR LF."""

    @abstractmethod
    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        """The request path for the endpoint ``path``, without a query.

        ``base`` is the base URL's path without a slash at its end, ``query`` the base URL's query. ``model`` is the
        provider's name of the model, ``None`` where only the body names it.
        """

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        """Names, in lower case, of clients' query parameters that the provider must not get.

        ``base`` and ``query`` as in ``target``.
        """
        return frozenset()

    def accepts_name(self, model: str) -> bool:
        """Whether a client may choose this name of a model, which the configuration does not have."""
        return True

    def read_refusal(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, wall_time: float
    ) -> Refusal:
        """The meaning of an answer with an error status; ``wall_time`` in Unix seconds."""
        return refusal.read(status, headers, body, wall_time)
