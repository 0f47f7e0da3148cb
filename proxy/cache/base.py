"""Cached answers, and the interface of the stores that keep them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterator, Sequence
from typing import ClassVar, Final, TypeAlias, TypeVar

from msgspec import Struct

T = TypeVar("T")

AT_ONCE: Final = 100  # answers that are looked up or stored in one turn of the loop
ALL: Final = "all"  # the group of every answer
LONG: Final = 256  # characters of a name; longer ones are kept with one answer only
_EXTRA: Final = 300  # bytes of facts that one answer has for itself
_TAG: Final = 64  # bytes of a tag beside its text


class AnswerFacts(Struct, frozen=True, cache_hash=True):
    """What many answers have in common.

    ``content_type`` is its value, ``lines`` more header lines, serialized. ``stream``: the body is an event stream.
    ``model``: as requested, ``name``: of the deployment, ``upstream_model``: as sent. ``ttl``: seconds that the answer
    is fresh; ``stale``: seconds that it is kept after that. ``extra``: bytes of these facts if one answer has them for
    itself; 0: many answers share them.
    """

    stream: bool
    content_type: bytes
    lines: bytes
    model: str
    provider: str
    name: str
    upstream_model: str
    response_model: str
    tags: tuple[str, ...]
    ttl: float
    stale: float
    extra: int = 0

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups by which it can be invalidated."""
        names = dict.fromkeys((self.model, self.name))
        return (*(model_group(name) for name in names), *(tag_group(tag) for tag in self.tags))


def extra_of(model: str, response_model: str, lines: bytes, tags: Sequence[str]) -> int:
    """``extra`` of facts with these parts, which clients and providers choose."""
    names = len(model) + len(response_model)
    if not (tags or lines or names > LONG):
        return 0
    return _EXTRA + names + len(lines) + sum(map(len, tags)) + _TAG * len(tags)


class CachedAnswer(Struct, frozen=True, gc=False):
    """An answer, without what belongs to its own request. ``at``: when it was stored, in Unix seconds.

    ``cost``: nano-USD; ``input``, ``output``: tokens. ``None`` is not known.
    """

    body: bytes
    facts: AnswerFacts
    at: float
    cost: int | None = None
    input: int | None = None
    output: int | None = None

    @property
    def kept_until(self) -> float:
        return self.at + self.facts.ttl + self.facts.stale


# An answer, ``None`` if there is none, and the moment: the number of invalidations so far.
Found: TypeAlias = tuple[CachedAnswer | None, int]
NOTHING: Final[Found] = (None, 0)


class StoreSurvey(Struct, frozen=True):
    """``size`` in bytes, of ``most``. ``evicted``: answers that this process removed to make room."""

    answers: int
    size: int
    most: int
    evicted: int
    up: bool = True


class AnswerStore(ABC):
    """Where answers are. A store that cannot be reached has none: no method raises for that.

    ``shared``: between processes, so that one of them leads where all would call a provider. A process begins to lead
    for a key with ``lead`` or ``find_or_lead``, and ends it with ``put`` or ``release``.
    """

    shared: ClassVar[bool]

    @abstractmethod
    def find(self, key: bytes) -> Found | Awaitable[Found]:
        """The answer, fresh or stale. Awaitable only if the store has to wait."""

    @abstractmethod
    def put(self, key: bytes, answer: CachedAnswer, moment: int) -> Awaitable[None] | None:
        """Store an answer, unless one of its groups was invalidated after ``moment``. Ends the lead of this process."""

    async def find_or_lead(self, key: bytes, seconds: float) -> tuple[Found, bool]:
        """``find`` and, where that finds nothing, ``lead``. The second is whether this process leads.

        It does also if another request of this process has taken the lead.
        """
        found = self.find(key)
        found = found if isinstance(found, tuple) else await found
        return found, found[0] is None and await self.lead(key, seconds)

    async def find_all(self, keys: Sequence[bytes]) -> tuple[list[CachedAnswer | None], int]:
        """The answers in the order of ``keys``, and the moment."""
        answers: list[CachedAnswer | None] = []
        moment = 0
        for portion in portions(keys):
            for key in portion:
                found = self.find(key)
                answer, moment = found if isinstance(found, tuple) else await found
                answers.append(answer)
            await asyncio.sleep(0)
        return answers, moment

    async def put_all(self, answers: Sequence[tuple[bytes, CachedAnswer]], moment: int) -> None:
        """Store answers by their keys."""
        for portion in portions(answers):
            for key, answer in portion:
                storing = self.put(key, answer, moment)
                if storing is not None:
                    await storing
            await asyncio.sleep(0)

    @abstractmethod
    async def invalidate(self, groups: Sequence[str]) -> int:
        """Remove the answers of any of these groups. Returns their number. Raises GatewayError (503)."""

    @abstractmethod
    def glance(self) -> StoreSurvey:
        """What this process knows of the store."""

    async def survey(self) -> StoreSurvey:
        """How full the store is."""
        return self.glance()

    @abstractmethod
    def resize(self, most: int) -> None:
        """Hold at most ``most`` bytes from now on."""

    async def lead(self, key: bytes, seconds: float) -> bool:
        """Whether this process leads, so that it calls a provider. No other one leads for at most ``seconds``."""
        return True

    async def led(self, key: bytes) -> bool:
        """Whether another process leads."""
        return False

    async def release(self, key: bytes) -> None:
        """End the lead of this process."""
        return


def portions(sequence: Sequence[T]) -> Iterator[Sequence[T]]:
    """What is looked up or stored in one turn of the loop."""
    return (sequence[start : start + AT_ONCE] for start in range(0, len(sequence), AT_ONCE))


def model_group(name: str) -> str:
    """Of the answers to requests for a model, or of a deployment with this name."""
    return f"model {name}"


def tag_group(tag: str) -> str:
    return f"tag {tag}"
