"""When a credential is fetched, by a clock that the test sets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from proxy.client.credentials import refresher
from proxy.client.credentials.base import CredentialFailed, IssuedCredential, UnsignedRequest
from proxy.client.credentials.refresher import AHEAD, LONGEST_RETRY, RETRY, YOUNG, CredentialRefresher
from proxy.config.provider_schema import CloudSettings
from proxy.errors import UpstreamAuthFailed
from proxy.providers.credential_source import CredentialSource
from tests.support import until, within

SOURCE = CredentialSource("google", CloudSettings(credentials_file="a.json"))
REQUEST = UnsignedRequest("POST", "/", [("Host", "h")])
LIFE = 3600.0


class Numbered(IssuedCredential):
    def __init__(self, number: int, expires_at: float) -> None:
        super().__init__(expires_at)
        self.number = number
        self.threads: list[int] = []

    def lines(self, request: UnsignedRequest) -> bytes:
        self.threads.append(threading.get_ident())
        return b"Authorization: Bearer %d\r\n" % self.number


class Refreshing:
    """A refresher whose fetches the test scripts. ``fetched``: sources, in order."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.life = LIFE
        self.fetched: list[CredentialSource] = []
        self.issued: list[Numbered] = []
        self.threads: set[int] = set()
        self.why: Exception | None = None
        self.warnings: list[dict[str, object]] = []
        self.free: threading.Event | None = None  # fetches wait for it
        self.refresher = CredentialRefresher({}, lambda: self.now, self._warn, self._fetch)

    def _warn(self, event: str, /, **fields: object) -> None:
        self.warnings.append(fields)

    def _fetch(self, source: CredentialSource, environ: Mapping[str, str], now: float) -> IssuedCredential:
        self.threads.add(threading.get_ident())
        self.fetched.append(source)
        if self.free is not None:
            assert self.free.wait(20)
        if self.why is not None:
            raise self.why
        self.issued.append(Numbered(len(self.fetched), now + self.life))
        return self.issued[-1]

    async def lines(self, source: CredentialSource = SOURCE, **request: Any) -> bytes:
        unsigned = UnsignedRequest("POST", "/", [("Host", "h")], **request)
        return await within(self.refresher.lines(source, unsigned), "the credential")

    async def number(self) -> int:
        return int((await self.lines()).split()[-1])


async def test_a_credential_is_fetched_once_and_off_the_loop() -> None:
    it = Refreshing()
    assert [await it.number() for _ in range(3)] == [1, 1, 1]
    assert it.threads
    assert threading.get_ident() not in it.threads


async def test_concurrent_requests_share_one_fetch() -> None:
    it = Refreshing()
    it.free = threading.Event()
    waiting = [asyncio.ensure_future(it.number()) for _ in range(5)]
    await until(lambda: bool(it.fetched), "the fetch")
    it.free.set()
    assert await asyncio.gather(*waiting) == [1] * 5
    assert len(it.fetched) == 1


async def test_equal_sources_share_a_credential_and_others_do_not() -> None:
    it = Refreshing()
    same = CredentialSource("google", CloudSettings(credentials_file="a.json"))
    other = CredentialSource("google", CloudSettings(credentials_file="b.json"))
    assert await it.lines() == await it.lines(same) != await it.lines(other)
    assert it.fetched == [SOURCE, other]


async def test_it_is_renewed_before_its_end_while_requests_use_the_old_one() -> None:
    it = Refreshing()
    await it.number()
    it.now += LIFE - AHEAD - 1
    assert await it.number() == 1
    it.free = threading.Event()
    it.now += 2
    assert [await it.number() for _ in range(3)] == [1, 1, 1]
    await until(lambda: len(it.fetched) == 2, "the second fetch")
    it.free.set()
    await until(lambda: len(it.issued) == 2, "the second credential")
    await until(lambda: _is_idle(it), "the end of the fetch")
    assert await it.number() == 2
    assert len(it.fetched) == 2


def _is_idle(it: Refreshing) -> bool:
    return all(held.task is None for held in it.refresher._held.values())


async def test_a_short_life_is_renewed_after_its_half() -> None:
    it = Refreshing()
    it.life = 60.0
    await it.number()
    it.now += 29
    await it.number()
    assert len(it.fetched) == 1
    it.now += 2
    await it.number()
    await until(lambda: len(it.fetched) == 2, "the second fetch")


async def test_after_its_end_requests_wait_for_the_next_one() -> None:
    it = Refreshing()
    await it.number()
    it.now += LIFE
    assert await it.number() == 2


async def test_a_failed_fetch_is_not_repeated_by_each_request() -> None:
    it = Refreshing()
    it.why = CredentialFailed("the account is gone")
    delays = [RETRY * 2**number for number in range(3)]
    for number, delay in enumerate(delays, 1):
        for _ in range(3):
            with pytest.raises(UpstreamAuthFailed) as caught:
                await it.lines()
            assert caught.value.message == "The gateway has no credential for the provider."
            assert caught.value.detail == "the account is gone"
            assert len(it.fetched) == number
        it.now += delay
    assert it.warnings == [{"why": "the account is gone"}]
    assert it.refresher.failure(SOURCE) == "the account is gone"
    it.why = None
    assert await it.number() == 4
    assert it.refresher.failure(SOURCE) == ""


async def test_the_time_between_failed_fetches_is_bounded() -> None:
    it = Refreshing()
    it.why = CredentialFailed("no")
    for _ in range(12):
        with pytest.raises(UpstreamAuthFailed):
            await it.lines()
        it.now += LONGEST_RETRY
    assert len(it.fetched) == 12


async def test_a_failed_renewal_keeps_the_old_one_until_its_end() -> None:
    it = Refreshing()
    await it.number()
    it.now += LIFE - AHEAD
    it.why = OSError("unexpected")
    assert await it.number() == 1
    await until(lambda: bool(it.warnings), "the warning")
    assert it.warnings == [{"why": "google: OSError"}]
    assert await it.number() == 1
    it.now += AHEAD
    with pytest.raises(UpstreamAuthFailed):
        await it.lines()


async def test_a_refused_credential_is_fetched_again_unless_it_is_new() -> None:
    it = Refreshing()
    await it.number()
    it.refresher.refused(SOURCE)
    assert await it.number() == 1
    it.now += YOUNG + 1
    it.refresher.refused(SOURCE)
    assert await it.number() == 2


async def test_an_issued_credential_that_has_expired_is_a_failure() -> None:
    it = Refreshing()
    it.life = -1.0
    with pytest.raises(UpstreamAuthFailed) as caught:
        await it.lines()
    assert "is the clock right?" in caught.value.detail


async def test_a_request_does_not_wait_for_a_fetch_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "WAIT_SECS", 0.05)
    it = Refreshing()
    it.free = threading.Event()
    with pytest.raises(UpstreamAuthFailed, match="no credential"):
        await it.lines()
    it.free.set()
    await until(lambda: _is_idle(it), "the end of the fetch")
    assert await it.number() == 1


async def test_large_bodies_are_signed_off_the_loop() -> None:
    it = Refreshing()
    signs = CredentialSource("aws", CloudSettings())
    large: Callable[[CredentialSource], Any] = lambda source: it.lines(source, body=[bytes(300_000)])  # noqa: E731
    await large(signs)
    await it.lines(signs, body=[b"small"])
    assert [each == threading.get_ident() for each in it.issued[0].threads] == [False, True]
    await large(SOURCE)
    assert it.issued[1].threads == [threading.get_ident()]


async def test_a_running_fetch_ends_with_the_gateway() -> None:
    it = Refreshing()
    it.free = threading.Event()
    waiting = asyncio.ensure_future(it.number())
    await until(lambda: bool(it.fetched), "the fetch")
    it.refresher.close()
    it.free.set()
    with pytest.raises(UpstreamAuthFailed):
        await waiting
