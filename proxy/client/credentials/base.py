"""The face of an issued credential."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from msgspec import Struct


class CredentialFailed(Exception):
    """No credential was issued. The text says why, and what to do; it has no secret."""


class UnsignedRequest(Struct):
    """A request without credential. ``headers`` include Host; ``body`` are the pieces, in order."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: Sequence[bytes | memoryview] = ()


class IssuedCredential(ABC):
    """``expires_at`` in Unix seconds."""

    def __init__(self, expires_at: float) -> None:
        self.expires_at = expires_at

    @abstractmethod
    def lines(self, request: UnsignedRequest) -> bytes:
        """The header lines to add to the request, with their CR LF. May run in a thread."""
