"""Webhooks with a clock of the test: pauses between tries take no time."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from random import Random
from typing import Any

from msgspec import Struct

from proxy.config.events_schema import EventType, Webhook
from proxy.events.base import GatewayEvent, event_id
from proxy.events.delivery import DeliveryTools
from proxy.events.sender import SendWebhook, WebhookSender
from tests.control.health.rig import no_tls
from tests.support.clock import FakeClock
from tests.support.upstream import Request

SECRET = "whsec_" + base64.b64encode(b"a key of exactly 24 byte").decode()


class Facts(Struct):
    """What an event of a test says."""

    number: int


class Tools:
    """``log``: the messages with their fields; ``counted``: outcomes. ``pauses``: they do not end by themselves."""

    def __init__(self, send: SendWebhook | None = None, *, pauses: bool = False) -> None:
        self.clock = FakeClock()
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.counted: list[tuple[str, str]] = []
        self.real = DeliveryTools(
            send=send or WebhookSender({}, no_tls_at_all, self.clock.wall, timeout=0.2),
            wall=self.clock.wall,
            count=lambda host, outcome: self.counted.append((host, outcome)),
            warn=self._note,
            log=self._note,
            chance=Random(1),
            sleep=forever if pauses else self.clock.sleep,
        )

    def _note(self, message: str, **fields: Any) -> None:
        self.log.append((message, fields))

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, outcome in self.counted]

    def event(self, number: int, type_: EventType = "budget_threshold") -> GatewayEvent:
        return GatewayEvent(event_id(number), type_, self.clock.wall(), "daily/2026-11-29/alice", Facts(number))


async def forever(seconds: float) -> None:
    await asyncio.Event().wait()


def webhook(url: str, **settings: Any) -> Webhook:
    return Webhook(url, **settings)


def numbers(requests: list[Request]) -> list[int]:
    """The events that a receiver got, in order."""
    return [request.json["data"]["number"] for request in requests]


def signature(id_: str, timestamp: str, body: bytes, key: bytes) -> str:
    """HMAC-SHA256 by hand (RFC 2104), independent of the module that signs."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + f"{id_}.{timestamp}.".encode() + body).digest()
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()
    return f"v1,{base64.b64encode(outer).decode()}"


def no_tls_at_all() -> Any:
    return no_tls(None)  # type: ignore[arg-type]
