"""Interfaces of an answer's body and its owner, and the collected answer."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from proxy.errors import GatewayError
from proxy.exchange import Exchange
from proxy.net.headers import Header


class CollectedAnswer(Struct, gc=False):
    """A complete answer that was not sent yet. ``lines`` are the header lines to forward."""

    status: int
    headers: list[Header]
    kind: bytes  # the provider's media type
    body: bytes
    lines: bytes


class Body(Protocol):
    """Takes the bytes of one answer. ``feed`` and ``end`` raise UpstreamFault before the first byte is sent."""

    def feed(self, chunk: bytes) -> None:
        """More bytes, as they were read or decoded."""

    def end(self) -> None:
        """The body ended as HTTP says it should."""

    def broken(self, fault: GatewayError) -> None:
        """The body broke after it was ``committed``: the client must see that it is incomplete."""

    def release(self) -> None:
        """Drop what is held."""

    @property
    def committed(self) -> bool:
        """Whether the client was sent any of it."""


class BodyOwner(Protocol):
    """The pump of an answer."""

    def commit(self) -> bytes:
        """The content commit: no other attempt may follow. Returns the header lines of the answer."""

    def collected(self, body: bytes) -> None:
        """The body is complete; nothing of it was sent to the client."""

    def delivered(self, fault: GatewayError | None = None) -> None:
        """The whole answer was sent, or the client's connection was cut because of ``fault``."""


def note_broken(exchange: Exchange, fault: GatewayError) -> None:
    """Note that the answer broke after its content commit."""
    exchange.outcome, exchange.error, exchange.error_detail = "broken", fault.code or "", fault.detail
    exchange.fault = fault
