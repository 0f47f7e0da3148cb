"""What replicas tell each other about breakers: as it travels, and as it waits to be sent.

A moment never travels, for it would be one machine's clock: its age in seconds does.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from proxy.breakers.breaker import Breaker, RemoteEvent

UNAVAILABLE_SECS: Final = 3600.0  # for a new process, where the cooldown of a missing model has no end
MOST_WAITING: Final = 10_000
MOST_WHY: Final = 200  # characters

Text = Annotated[str, Meta(max_length=4000)]
Age = Annotated[float, Meta(ge=0, le=1e10)]  # seconds


class News(Struct, frozen=True):
    """JSON on the wire. ``origin`` is the process that found it out, ``key`` the deployment's.

    ``cooldown`` is that of a missing model, in seconds; 0: it has no end, or the sender is of an earlier version.
    """

    origin: Text
    key: Text
    event: RemoteEvent = field(name="told")
    age: Age
    why: Text = ""
    endpoint: Text = ""
    cooldown: Age = 0.0


class Word(Struct, frozen=True, eq=False):
    """What happened to our breaker at ``moment``, and the moment until which it stands (``None``: until a reset).

    ``reloaded`` is not told to anybody: the marks of this deployment are forgotten.
    """

    key: str
    what: RemoteEvent | Literal["reloaded"]
    moment: float
    until: float | None = None
    why: str = ""
    endpoint: str = ""
    cooldown: float = 0.0

    @property
    def subject(self) -> tuple[str, str, str]:
        """Of one subject only the latest word counts."""
        return self.key, self.what, self.endpoint

    def left(self, now: float) -> float:
        """Seconds for which it still stands; 0: until a reset. Negative: it is over."""
        if self.until is None:
            return 0.0
        return self.until - now if self.until > now else -1.0


class Outbox:
    """Words that wait to be sent, the latest of each subject, in order; of too many the oldest are lost."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str, str], Word] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, word: Word) -> None:
        if word.what in ("closed", "reloaded"):
            self._drop(word)
        self._waiting.pop(word.subject, None)
        self._waiting[word.subject] = word
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def waiting(self) -> list[Word]:
        return list(self._waiting.values())

    def sent(self, words: Sequence[Word]) -> None:
        """These need not be sent again, unless another word took their place meanwhile."""
        for word in words:
            if self._waiting.get(word.subject) is word:
                del self._waiting[word.subject]

    def _drop(self, word: Word) -> None:
        """What ``word`` makes void."""
        for subject in [each for each in self._waiting if each[0] == word.key]:
            if word.what == "closed" or subject[1] == "unavailable":
                del self._waiting[subject]


def word_of(breaker: Breaker, now: float) -> Word | None:
    """What others should know of the breaker's last change; ``None``: nothing, or it comes from them."""
    last, key = breaker.last, breaker.key
    if last is None or last.remote:
        return None
    match last.event:
        case "limit" | "failure":  # it opened: a failure that changes nothing else is no change
            return Word(key, "open", now, now + breaker.policy.cooldown, breaker.reason[:MOST_WHY])
        case "missing":
            mark = breaker.missing_at[last.endpoint]
            cooldown = mark.cooldown if isfinite(mark.cooldown) else 0.0
            return Word(key, "unavailable", now, now + (cooldown or UNAVAILABLE_SECS), "", last.endpoint, cooldown)
        case "trip":
            return Word(key, "held", now, None, breaker.reason[:MOST_WHY])
        case "reset":
            return Word(key, "closed", now)
        case "reload":
            return Word(key, "reloaded", now)
        case _:
            return None


def encode(word: Word, origin: str, age: float) -> bytes:
    """``b""`` for what is told to nobody."""
    if word.what == "reloaded":
        return b""
    return _encoder.encode(News(origin, word.key, word.what, age, word.why, word.endpoint, word.cooldown))


def decode(message: bytes) -> News | None:
    """``None`` if it is not news of ours: malformed, or of a later version."""
    try:
        return _decoder.decode(message)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(News)
