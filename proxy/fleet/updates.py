"""Updates of breakers between replicas: as messages, and as they wait to be sent.

A message carries the age of an update in seconds, never a time: clocks of machines differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from proxy.breakers.breaker import Breaker, RemoteEvent

UNAVAILABLE_SECS: Final = 3600.0  # how long a missing model without a cooldown is stored, for new processes
MAX_WAITING: Final = 10_000
MAX_REASON: Final = 200  # characters

Text = Annotated[str, Meta(max_length=4000)]
Age = Annotated[float, Meta(ge=0, le=1e10)]  # seconds


class BreakerMessage(Struct, frozen=True):
    """An update as JSON. ``origin``: the process that sent it. ``key``: of the deployment.

    ``cooldown`` of a missing model, in seconds; 0: it has none, or the sender is an earlier version.
    """

    origin: Text
    key: Text
    event: RemoteEvent = field(name="told")
    age: Age
    why: Text = ""
    endpoint: Text = ""
    cooldown: Age = 0.0


class BreakerUpdate(Struct, frozen=True, eq=False):
    """A change of one of our breakers at ``at``, valid until ``until`` (``None``: until a reset).

    ``reloaded`` only deletes what is stored of missing models of this deployment; it is not published.
    """

    key: str
    event: RemoteEvent | Literal["reloaded"]
    at: float
    until: float | None = None
    reason: str = ""
    endpoint: str = ""
    cooldown: float = 0.0

    @property
    def subject(self) -> tuple[str, str, str]:
        """An update replaces the one before it on the same subject."""
        return self.key, self.event, self.endpoint

    def left(self, now: float) -> float:
        """Seconds for which it is still valid; 0: until a reset. Negative: it has expired."""
        if self.until is None:
            return 0.0
        return self.until - now if self.until > now else -1.0


class UpdateQueue:
    """Updates to be sent: the latest of each subject, in order. Beyond ``MAX_WAITING`` the oldest are lost."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str, str], BreakerUpdate] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, update: BreakerUpdate) -> None:
        if update.event in ("closed", "reloaded"):
            self._drop(update)
        self._waiting.pop(update.subject, None)
        self._waiting[update.subject] = update
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def waiting(self) -> list[BreakerUpdate]:
        return list(self._waiting.values())

    def sent(self, updates: Sequence[BreakerUpdate]) -> None:
        """Remove these, unless another update has replaced them meanwhile."""
        for update in updates:
            if self._waiting.get(update.subject) is update:
                del self._waiting[update.subject]

    def _drop(self, update: BreakerUpdate) -> None:
        """Remove what ``update`` makes obsolete."""
        for subject in [each for each in self._waiting if each[0] == update.key]:
            if update.event == "closed" or subject[1] == "unavailable":
                del self._waiting[subject]


def update_of(breaker: Breaker, now: float) -> BreakerUpdate | None:
    """The breaker's last change as an update; ``None``: it is not shared, or another replica sent it."""
    last, key = breaker.last, breaker.key
    if last is None or last.remote:
        return None
    match last.event:
        case "limit" | "failure":  # the breaker opened: other failures are no change
            return BreakerUpdate(key, "open", now, now + breaker.policy.cooldown, breaker.reason[:MAX_REASON])
        case "missing":
            mark = breaker.missing_at[last.endpoint]
            cooldown = mark.cooldown if isfinite(mark.cooldown) else 0.0
            return BreakerUpdate(
                key, "unavailable", now, now + (cooldown or UNAVAILABLE_SECS), "", last.endpoint, cooldown
            )
        case "trip":
            return BreakerUpdate(key, "held", now, None, breaker.reason[:MAX_REASON])
        case "reset":
            return BreakerUpdate(key, "closed", now)
        case "reload":
            return BreakerUpdate(key, "reloaded", now)
        case _:
            return None


def encode(update: BreakerUpdate, origin: str, age: float) -> bytes:
    """The message of ``update``; ``b""``: it is not published."""
    if update.event == "reloaded":
        return b""
    return _encoder.encode(
        BreakerMessage(origin, update.key, update.event, age, update.reason, update.endpoint, update.cooldown)
    )


def decode(message: bytes) -> BreakerMessage | None:
    """``None``: malformed, or of a later version."""
    try:
        return _decoder.decode(message)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(BreakerMessage)
