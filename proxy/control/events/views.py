"""Receivers and dead events in answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from proxy.config.broker_checks import addresses
from proxy.config.events_schema import Events
from proxy.config.secret import Secret
from proxy.control.events.schemas import after_of
from proxy.database.outbox_rows import MOST_COUNTED, DeadEvent, ReceiverStanding
from proxy.events.base import BROKER, webhook_name
from proxy.events.broker.reading import DeadLetter

LATE_SECS: Final = 30.0
"""An event that waits longer is late: the sender looks each second, and a try takes at most 15 s."""

ReceiverState = Literal["up", "idle", "waiting", "failing", "gone", "removed"]
ReceiverKind = Literal["rabbitmq", "nats", "webhook"]


class ReceiverView(Struct, rename="camel"):
    """``address``: without its secrets; ``""`` if it is not in the configuration. ``types``: empty: all of them.

    ``state``: ``up``; ``idle``, nothing was sent yet; ``waiting``, the oldest event has waited for longer than 30 s;
    ``failing``, the last try failed; ``gone``, it wants no more events (410); ``removed`` from the configuration.
    ``sending``: a process has taken it on. ``waiting`` and ``dead``: ``truncated`` if there may be more of them.
    ``oldestSecs``: since the first event that waits happened; ``null``: none waits. Times are Unix seconds; ``null``:
    never. ``lastError``: of the last failure."""

    name: str
    kind: ReceiverKind
    address: str
    types: Sequence[str]
    state: ReceiverState
    sending: bool
    waiting: int
    oldest_secs: float | None
    sent: int
    failures: int
    dead: int
    last_dead_at: float | None
    truncated: bool
    last_sent_at: float | None
    last_failed_at: float | None
    last_error: str
    gone_at: float | None


class OutboxView(Struct, rename="camel"):
    """``waiting``: events, counted for each receiver. Beyond ``mostWaiting`` the ledger's records ``wait``, or events
    are forgotten."""

    waiting: int
    most_waiting: int
    on_full: Literal["wait", "forget"]


class EventsView(Struct, rename="camel"):
    """``letters``: whether a broker has messages that consumers refused, and ``deadLetters``: how many; ``null``: not
    known. ``ledger``: where its rows go."""

    now: float
    ledger: Literal["database", "events"]
    receivers: Sequence[ReceiverView]
    outbox: OutboxView
    letters: bool
    dead_letters: int | None


class DeadEventView(Struct, rename="camel"):
    """``seq``: its number. ``id``: of the event. ``body``: the CloudEvent. Times are Unix seconds; ``deadAt``: when it
    was given up, after so many ``tries``, of which the last ended with ``error``."""

    seq: int
    id: str
    receiver: str
    type: str
    at: float
    dead_at: float
    tries: int
    error: str
    body: Any


class DeadEventList(Struct, rename="camel"):
    """The last that died first. ``after``: of the next page; ``null``: there is none."""

    data: Sequence[DeadEventView]
    after: str | None
    object: Literal["list"] = "list"


class ChangedView(Struct):
    """``count``: so many were changed. ``more``: there are more than one request changes, so send it again."""

    count: int
    more: bool


class DeadLetterView(Struct):
    """``queue``: where it came from. ``at``: Unix seconds; ``null``: not known. ``body``: text if it is no JSON."""

    id: str
    type: str
    queue: str
    reason: str
    at: float | None
    body: Any


class DeadLetterList(Struct):
    """The first of them."""

    data: Sequence[DeadLetterView]
    object: Literal["list"] = "list"


def receiver_views(events: Events, found: Sequence[ReceiverStanding], now: float) -> list[ReceiverView]:
    """Those of the configuration first. Others only while something waits for them, or is dead."""
    configured = {name: (shown, types) for name, shown, types in _configured(events)}
    return [
        _receiver(each, events, configured.get(each.name), now)
        for each in found
        if each.name in configured or each.waiting or each.dead
    ]


def dead_event_list(found: Sequence[DeadEvent], limit: int) -> DeadEventList:
    """The first ``limit`` of those found."""
    shown = [dead_event(each) for each in found[:limit]]
    last = found[limit - 1] if len(found) > limit else None
    return DeadEventList(shown, None if last is None else after_of(last.dead_at, last.seq))


def dead_event(found: DeadEvent) -> DeadEventView:
    return DeadEventView(
        found.seq,
        found.id,
        found.receiver,
        found.type,
        found.at,
        found.dead_at,
        found.tries,
        found.error,
        _decoded(found.body.encode(errors="replace")),
    )


def dead_letter(found: DeadLetter) -> DeadLetterView:
    return DeadLetterView(found.id, found.type, found.queue, found.reason, found.at or None, _decoded(found.body))


def _configured(events: Events) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Name, address and types of each."""
    if events.url:
        yield BROKER, ", ".join(addresses(_shown(events.url))), events.types
    for webhook in events.webhooks:
        yield webhook_name(webhook.url), _shown(webhook.url), webhook.types


def _receiver(
    found: ReceiverStanding, events: Events, configured: tuple[str, Sequence[str]] | None, now: float
) -> ReceiverView:
    late = None if found.oldest is None else max(now - found.oldest, 0.0)
    address, types = configured or ("", ())
    return ReceiverView(
        name=found.name,
        kind=_kind(found.name, events),
        address=address,
        types=types,
        state=_state(found, late) if configured else "removed",
        sending=found.until > now,
        waiting=found.waiting,
        oldest_secs=None if late is None else round(late, 3),
        sent=found.sent,
        failures=found.failures,
        dead=found.dead,
        last_dead_at=found.last_dead,
        truncated=MOST_COUNTED in (found.waiting, found.dead),
        last_sent_at=found.sent_at,
        last_failed_at=found.failed_at,
        last_error=found.error,
        gone_at=found.gone_at,
    )


def _state(found: ReceiverStanding, late: float | None) -> ReceiverState:
    if found.gone_at is not None:
        return "gone"
    if found.failed_at is not None and found.failed_at > (found.sent_at or 0.0):
        return "failing"
    if late is not None and late > LATE_SECS:
        return "waiting"
    return "up" if found.sent or found.sent_at is not None else "idle"


def _kind(name: str, events: Events) -> ReceiverKind:
    if name != BROKER:
        return "webhook"
    return "nats" if str(events.url).startswith(("nats:", "tls:")) else "rabbitmq"


def _shown(url: str) -> str:
    return url.shown if isinstance(url, Secret) else url


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")
