"""Deliveries with a clock of the test, a receiver in memory, and a real outbox in a SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from proxy.database.address import Address
from proxy.events.outbox.base import EventOutbox, WaitingEvent
from proxy.events.outbox.sqlite import SqliteOutbox
from proxy.events.sending.base import EventSender, RefusedEvent, SendOutcome
from proxy.events.sending.delivery import DeliveryClocks, EventDelivery
from proxy.events.sending.webhook import WebhookReceiver
from proxy.events.settings import WebhookSettings
from tests.events.outbox.outboxes import AT, RECEIVER
from tests.ledger.recorder.databases import make_file

DAY = 86400.0


class StillClock:
    """A clock that only ``advance`` and ``sleep`` move."""

    def __init__(self) -> None:
        self.time = AT

    def wall(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time - AT

    def advance(self, seconds: float) -> None:
        self.time += seconds

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    @property
    def clocks(self) -> DeliveryClocks:
        return DeliveryClocks(self.wall, self.now, self.sleep)


class LogLines:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, message: str, **fields: object) -> None:
        self.lines.append((message, fields))

    warning = info

    @property
    def messages(self) -> list[str]:
        return [message for message, _ in self.lines]


class MemorySender:
    """A receiver. ``got``: ids in order. ``error``: it is down. ``refuses``: events that it does not take."""

    noun = "webhook"
    most = 10
    probes = True
    give_up_secs = DAY

    def __init__(self) -> None:
        self.got: list[str] = []
        self.tried: list[str] = []
        self.error = ""
        self.refuses: set[str] = set()
        self.gone = False
        self.retry_after: float | None = None
        self.closed = False

    async def send(self, events: Sequence[WaitingEvent]) -> SendOutcome:
        outcome = SendOutcome(retry_after=self.retry_after)
        for each in events:
            self.tried.append(each.id)
            if self.gone:
                outcome.gone = True
                break
            if self.error or each.id in self.refuses:
                outcome.refused.append(RefusedEvent(each, self.error or "refused"))
                break
            self.got.append(each.id)
            outcome.sent.append(each.seq)
        return outcome

    def pause(self, failures: int, retry_after: float | None) -> float:
        return 2.0 ** min(failures, 8)

    def later(self, tries: int, retry_after: float | None) -> float:
        return 2.0 ** min(tries, 8)

    async def close(self) -> None:
        self.closed = True


class SendingRig:
    """One delivery. ``step`` runs it, and lets the time pass that it wants to wait."""

    def __init__(self, path: Path, sender: EventSender | None = None, *, holder: str = "one") -> None:
        self.clock = StillClock()
        self.log = LogLines()
        self.memory = MemorySender()
        self.outbox = SqliteOutbox(str(path), self.clock.wall)
        self.where = Address("sqlite", str(path))
        self.sender = sender or self.memory
        self.delivery = self.other(self.outbox, holder)

    def other(self, outbox: EventOutbox, holder: str) -> EventDelivery:
        return EventDelivery(RECEIVER, outbox, self.sender, holder, self.clock.clocks, self.log)

    async def step(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(await self.delivery.step())

    async def until_empty(self, most: int = 1000) -> None:
        begun = self.clock.now()
        for _ in range(most):
            await self.step()
            if self.delivery.empty_at >= begun:
                return
        raise AssertionError("events wait")


async def rig_in(folder: Path, sender: EventSender | None = None) -> SendingRig:
    path = folder / "outbox.db"
    if not path.exists():
        await make_file(path)
    return SendingRig(path, sender)


def webhook_of(send: object, clock: StillClock, secret: str = "") -> WebhookReceiver:
    settings = WebhookSettings(RECEIVER, "http://receiver/hook", secret)
    return WebhookReceiver(settings, send, clock.wall, Random(1))  # type: ignore[arg-type]
