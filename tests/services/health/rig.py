"""Checks of addresses with a clock, and a probe, of the test's own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from types import SimpleNamespace
from typing import Any

from proxy.addresses.book import AddressBook
from proxy.config.service_schema import HealthCheck, ServerAddress, ServiceSettings
from proxy.services.health.address import CheckedAddress
from proxy.services.health.checker import HealthChecker
from tests.support.clock import FakeClock

INTERVAL = 10.0
CHECK = HealthCheck(path="/health", interval_secs=INTERVAL, timeout_secs=2.0, healthy=2, unhealthy=3)


def service(*urls: str, check: HealthCheck = CHECK, **settings: Any) -> ServiceSettings:
    return ServiceSettings(addresses=[ServerAddress(url) for url in urls], health=check, **settings)


def log_of(lines: list[str]) -> Any:
    """A log that appends each message with its fields."""

    def note(message: str, **fields: object) -> None:
        lines.append(" ".join([message, *(f"{name}={value}" for name, value in fields.items())]))

    return SimpleNamespace(warning=note, info=note, debug=note)


class FakeProbe:
    """``failing``: why the check of a URL fails. Checks end at once, or when ``hold`` is over."""

    def __init__(self) -> None:
        self.failing: dict[str, str] = {}
        self.checks: list[str] = []
        self.free = asyncio.Event()
        self.free.set()
        self.closed = False

    async def check(self, address: CheckedAddress) -> str:
        url = address.live.url
        self.checks.append(url)
        why = self.failing.get(url, "")
        await self.free.wait()
        return why

    async def close(self) -> None:
        self.closed = True


class AllHere:
    """No other replica, or one that checks what is in ``elsewhere``."""

    def __init__(self) -> None:
        self.elsewhere: set[str] = set()
        self.told: list[str] = []
        self.new: list[str] = []

    def leaves(self, address: CheckedAddress, now: float) -> bool:
        return address.live.url in self.elsewhere

    def joined(self, address: CheckedAddress) -> None:
        self.new.append(address.live.url)

    def checked(self, address: CheckedAddress) -> None:
        self.told.append(address.live.url)


class Counts:
    def __init__(self) -> None:
        self.passed: dict[tuple[str, bool], int] = defaultdict(int)

    def checked(self, service: str, passed: bool, seconds: float) -> None:
        assert seconds >= 0
        self.passed[service, passed] += 1


class Checks:
    """A checker with its book; ``settings`` are in force. Nothing happens by itself: ``run`` takes turns."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.book = AddressBook()
        self.settings: dict[str, ServiceSettings] = {}
        self.probe = FakeProbe()
        self.replicas = AllHere()
        self.counts = Counts()
        self.lines: list[str] = []
        self.woken = 0
        self.checker = HealthChecker(
            self.book,
            self.settings.get,
            self.probe,
            log_of(self.lines),
            replicas=self.replicas,
            wake=self._wake,
            now=self.clock.now,
            wall=self.clock.wall,
            random=Random(7),
            counters=self.counts,
        )
        self.book.on_change.append(self.checker.changed)

    def _wake(self) -> None:
        self.woken += 1

    def put(self, name: str, settings: ServiceSettings, urls: Sequence[str] | None = None) -> None:
        """``urls``: other addresses than the configured ones."""
        self.settings[name] = settings
        addresses = settings.addresses if urls is None else [ServerAddress(url) for url in urls]
        self.book.put(name, settings, addresses, self.clock.now())

    def forget(self, name: str) -> None:
        del self.settings[name]
        self.book.forget(name)

    async def turn(self) -> float | None:
        """One turn, and the end of its checks."""
        wait = self.checker.turn()
        while self.probe.free.is_set() and self.checker.running:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return wait

    async def run(self, secs: float) -> None:
        """So many seconds go by."""
        end = self.clock.now() + secs
        while True:
            before = self.woken
            wait = await self.turn()
            if self.woken != before:
                continue
            now = self.clock.now()
            if wait is None or now + wait > end:
                self.clock.advance(end - now)
                return
            self.clock.advance(wait)

    def health(self, name: str) -> list[bool | None]:
        return [each.healthy for each in self.book.group(name).addresses]
