"""Results between replicas, with a board, a lease and a clock of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from proxy.addresses.book import AddressBook
from proxy.config.provider_schema import Tls
from proxy.config.service_schema import ServerAddress, ServiceSettings
from proxy.fleet.lease.base import LeaseUnavailable
from proxy.fleet.lease.lease import Lease
from proxy.services.health.address import AWAITED_SECS, FRESH_SECS, CheckedAddress, CheckResult
from proxy.services.health.board.base import PORTION, SharedResult
from proxy.services.health.history import HealthChange
from proxy.services.health.sharing import REPEAT_SECS, HealthSharing
from tests.services.health.rig import CHECK, log_of
from tests.support.clock import MIDNIGHT, FakeClock

A, B = "http://a.example", "http://b.example"


class FakeBoard:
    """``new``: what the next read returns. ``down``: it fails."""

    def __init__(self) -> None:
        self.published: list[SharedResult] = []
        self.new: list[SharedResult] = []
        self.down = False

    async def publish(self, results: Sequence[SharedResult]) -> None:
        if self.down:
            raise ConnectionError("gone")
        self.published += results

    async def read(self) -> list[SharedResult]:
        if self.down:
            raise ConnectionError("gone")
        portion, self.new = self.new[:PORTION], self.new[PORTION:]
        return portion


class FakeLeases:
    def __init__(self) -> None:
        self.free = True
        self.down = False

    async def take(self, name: str, holder: str, secs: float) -> bool:
        if self.down:
            raise LeaseUnavailable("gone")
        return self.free

    async def release(self, name: str, holder: str) -> None:
        pass


class Replica:
    """A replica whose addresses ``A`` and ``B`` of the service ``s`` are checked."""

    def __init__(self, *urls: str, alone: bool = False) -> None:
        self.clock = FakeClock()
        self.board = FakeBoard()
        self.leases = FakeLeases()
        self.lines: list[str] = []
        self.book = AddressBook()
        self.addresses: dict[tuple[str, str], CheckedAddress] = {}
        self.lease = Lease(self.leases, "health checks", log_of(self.lines), now=self.clock.now)
        board: Any = None if alone else self.board
        self.sharing = HealthSharing(self.lease, board, log_of(self.lines), now=self.clock.now, wall=self.clock.wall)
        self.put(*urls)

    def put(self, *urls: str) -> None:
        self.book.put("s", ServiceSettings(), [ServerAddress(url) for url in urls], self.clock.now())
        for live in self.book.group("s").addresses:
            if ("s", live.url) not in self.addresses:
                made = CheckedAddress(live, CHECK, Tls(), self.clock.now())
                self.addresses["s", live.url] = made
                self.sharing.joined(made)

    def find(self, service: str, url: str) -> CheckedAddress | None:
        return self.addresses.get((service, url))

    def note(self, address: CheckedAddress, healthy: bool | None, why: str, at: float | None = None) -> None:
        if address.live.healthy != healthy:
            address.history.add(HealthChange(self.clock.wall() if at is None else at, healthy, why))
            address.live.healthy = healthy

    async def start(self, *, holds: bool) -> None:
        self.leases.free = holds
        self.sharing._addresses = self
        await self.lease.renew()
        await self.sharing.share()

    def check(self, url: str, why: str = "") -> CheckedAddress:
        """As the checker settles a check."""
        address = self.addresses["s", url]
        address.last = CheckResult(not why, self.clock.wall(), 0.1, why)
        self.note(address, not why, why)
        self.sharing.checked(address)
        return address

    def __getitem__(self, url: str) -> CheckedAddress:
        return self.addresses["s", url]

    def leaves(self, url: str) -> bool:
        return self.sharing.leaves(self[url], self.clock.now())


async def test_the_holder_publishes_changes_and_sometimes_what_stays() -> None:
    replica = Replica(A, B)
    await replica.start(holds=True)
    replica.check(A)
    replica.check(B, "status 500")
    await replica.sharing.share()
    assert replica.board.published == [
        SharedResult("s", A, True, MIDNIGHT),
        SharedResult("s", B, False, MIDNIGHT, "status 500"),
    ]
    replica.board.published.clear()
    replica.clock.advance(5.0)
    await replica.lease.renew()
    replica.check(A)
    replica.check(B, "status 502")
    await replica.sharing.share()
    assert replica.board.published == []
    replica.clock.advance(REPEAT_SECS - 5.0)
    await replica.lease.renew()
    replica.check(A)
    replica.check(B)
    await replica.sharing.share()
    assert replica.board.published == [SharedResult("s", A, True, MIDNIGHT), SharedResult("s", B, True, MIDNIGHT + 20)]


async def test_what_was_not_published_is_published_later() -> None:
    replica = Replica(A)
    await replica.start(holds=True)
    replica.board.down = True
    replica.check(A)
    await replica.sharing.share()
    await replica.sharing.share()
    replica.board.down = False
    await replica.sharing.share()
    await replica.sharing.share()
    assert replica.board.published == [SharedResult("s", A, True, MIDNIGHT)]
    assert replica.lines == [
        "Replicas do not share the health of addresses; each checks for itself. why=gone",
        "Replicas share the health of addresses again.",
    ]


async def test_a_result_that_changes_while_it_is_published_is_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica(A)
    await replica.start(holds=True)
    replica.check(A)
    publish = replica.board.publish

    async def change(results: Sequence[SharedResult]) -> None:
        if not replica.board.published:
            replica.check(A, "status 500")
        await publish(results)

    monkeypatch.setattr(replica.board, "publish", change)
    await replica.sharing.share()
    assert [each.healthy for each in replica.board.published] == [True, False]


async def test_an_address_that_is_gone_is_not_published() -> None:
    replica = Replica(A, B)
    await replica.start(holds=True)
    replica.check(A).gone = True
    replica.check(B)
    await replica.sharing.share()
    assert [each.url for each in replica.board.published] == [B]
    assert not replica.sharing._waiting


async def test_the_others_apply_results_and_leave_the_checks() -> None:
    replica = Replica(A, B)
    replica.board.new = [SharedResult("s", A, False, 77.5, "status 500", 3.0)]
    await replica.start(holds=False)
    assert replica[A].live.healthy is False
    view = replica[A].view()
    assert (view.checked_at, view.seconds, view.why, view.here) == (MIDNIGHT - 3, None, "status 500", False)
    assert view.changes == [HealthChange(77.5, False, "status 500")]
    assert replica.leaves(A)
    assert replica.leaves(B)
    replica.check(A)
    await replica.sharing.share()
    assert replica.board.published == []


async def test_an_address_without_a_result_for_too_long_is_checked_here() -> None:
    replica = Replica(A, B)
    await replica.start(holds=False)
    replica.clock.advance(AWAITED_SECS + CHECK.timeout_secs)
    assert not replica.leaves(A)
    replica.board.new = [SharedResult("s", A, True, 1.0)]
    await replica.sharing.share()
    assert (replica.leaves(A), replica.leaves(B)) == (True, False)
    replica.clock.advance(FRESH_SECS)
    assert not replica.leaves(A)
    assert replica[A].stale(replica.clock.now())


async def test_a_result_that_is_too_old_does_not_count() -> None:
    replica = Replica(A, B)
    replica.board.new = [SharedResult("s", A, False, 1.0, "x", FRESH_SECS), SharedResult("s", B, False, 1.0, "x", 59.0)]
    await replica.start(holds=False)
    assert (replica[A].live.healthy, replica[B].live.healthy) == (None, False)


async def test_a_result_may_come_before_its_address() -> None:
    replica = Replica(A)
    replica.board.new = [SharedResult("s", B, False, 1.0, "x", 10.0)]
    await replica.start(holds=False)
    replica.clock.advance(2.0)
    replica.put(A, B)
    assert replica[B].live.healthy is False
    assert replica[B].view().checked_at == MIDNIGHT - 10
    assert replica[B].elsewhere_until == replica.clock.now() + FRESH_SECS - 12


async def test_all_portions_are_read() -> None:
    replica = Replica(A)
    others = [SharedResult("other", f"http://{number}", True, 1.0) for number in range(2 * PORTION)]
    replica.board.new = [*others, SharedResult("s", A, True, 1.0)]
    await replica.start(holds=False)
    assert replica[A].live.healthy is True


async def test_while_the_lease_cannot_be_reached_each_checks_for_itself_and_publishes_nothing() -> None:
    replica = Replica(A)
    await replica.start(holds=False)
    replica.leases.down = True
    await replica.lease.renew()
    assert not replica.leaves(A)
    replica.check(A, "x")
    await replica.sharing.share()
    assert replica.board.published == []
    replica.leases.down, replica.leases.free = False, True
    await replica.lease.renew()
    assert not replica.leaves(A)
    replica.check(A, "x")
    await replica.sharing.share()
    assert [each.healthy for each in replica.board.published] == [False]


async def test_a_holder_that_lost_the_lease_publishes_no_more() -> None:
    replica = Replica(A)
    await replica.start(holds=True)
    replica.check(A)
    replica.leases.free = False
    await replica.lease.renew()
    await replica.sharing.share()
    assert replica.board.published == []
    assert replica.leaves(A)


async def test_a_process_alone_checks_everything() -> None:
    replica = Replica(A, alone=True)
    await replica.sharing.start(replica)
    assert replica.sharing.checks
    assert not replica.leaves(A)
    replica.check(A)
    await replica.sharing.close()


async def test_what_waits_is_published_at_the_end() -> None:
    replica = Replica(A)
    await replica.sharing.start(replica)
    replica.check(A)
    await replica.sharing.close()
    assert len(replica.board.published) == 1
    assert not replica.sharing.checks
