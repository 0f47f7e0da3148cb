"""One replica: a registry of breakers, shared through Redis, with a separate clock."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any

from proxy.breakers.breaker import Breaker, Policy, State
from proxy.fleet.breakers import SharedBreakers
from proxy.redis.client import RedisClient
from proxy.routing.live import Registry
from tests.support.clock import FakeClock
from tests.support.patience import within

POLICY = Policy(failure_threshold=3, cooldown=60.0, success_threshold=2)
CHAT, EMBEDDINGS = "chat/completions", "embeddings"
KEYS = ("one", "two")


class Replica:
    """``async with Replica(url, prefix) as a``: deployments ``KEYS`` are configured. No two clocks agree.

    ``messages`` is what was logged, by level.
    """

    def __init__(
        self, url: str, prefix: str, *, keys: tuple[str, ...] = KEYS, ahead: float = 0.0, timeout: float = 5.0
    ) -> None:
        self.clock = FakeClock()
        self.clock.advance(ahead)
        self.messages: dict[str, list[str]] = {"warning": [], "info": [], "debug": []}
        self.registry = Registry(POLICY, 300.0, self.changed)
        self.configured: dict[str, Breaker] = {}
        self.configure(*keys)
        self.redis = RedisClient(url, prefix, timeout)
        log: Any = SimpleNamespace(**{level: self._hear(level) for level in self.messages})
        self.shared = SharedBreakers(
            self.redis,
            self.configured.get,
            self.clock.wall,
            self.clock.now,
            log,
        )

    def _hear(self, level: str) -> Callable[..., None]:
        return lambda message, **_: self.messages[level].append(message)

    def changed(self, breaker: Breaker, old: State, now: float) -> None:
        self.shared.changed(breaker, old, now)

    def configure(self, *keys: str) -> None:
        for key in keys:
            self.configured[key] = self.registry.live(key).breaker

    async def __aenter__(self) -> Replica:
        await within(self.shared.start(), "a replica to start")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await within(self.shared.close(), "a replica to close")
        await self.redis.close()

    # what happens to it

    def __getitem__(self, key: str) -> Breaker:
        return self.configured[key]

    @property
    def now(self) -> float:
        return self.clock.now()

    def fail(self, key: str, times: int = 3) -> None:
        for _ in range(times):
            self[key].fail(self[key].acquire(CHAT, self.now), self.now, "status_500")

    def miss(self, key: str, endpoint: str) -> None:
        self[key].missing(endpoint, self.now)

    def trip(self, key: str) -> None:
        self[key].trip(self.now, "operator")

    def reset(self, key: str) -> None:
        self[key].reset(self.now)

    def reload(self) -> None:
        self.registry.adopt(POLICY, 300.0, self.now)
        self.shared.refresh()

    def rest(self, key: str) -> float | None:
        """Seconds until it admits requests again; ``None``: only after a reset."""
        at = self[key].retry_at
        return None if at is None else at - self.now
