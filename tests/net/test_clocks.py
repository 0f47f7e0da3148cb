"""The six clocks and the ping, with the time handed in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.config.timeouts import Clocks
from proxy.net.clocks import TICK, Ticker, Watch
from tests.support.patience import within

OFF = {"connect": 0.0, "headers": 0.0, "first_content": 0.0, "idle": 0.0, "total": 0.0, "client_stall": 0.0}


class Timer:
    def __init__(self) -> None:
        self.stopped = False

    def cancel(self) -> None:
        self.stopped = True


class Day:
    """As much of a loop as the ticker uses; time passes only by ``go``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, Callable[[], None], Timer]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer()
        self._timers.append((self.now + delay, callback, timer))
        return timer

    @property
    def waiting(self) -> int:
        return sum(not timer.stopped for _, _, timer in self._timers)

    def go(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((entry for entry in self._timers if entry[0] <= end), key=lambda entry: entry[0]):
            moment, callback, timer = due[0]
            self._timers.remove(due[0])
            self.now = max(self.now, moment)
            if not timer.stopped:
                callback()
        self.now = end


class Scene:
    """One watched attempt: when it last read, how much its client has not taken, which clocks expired."""

    def __init__(self, **clocks: float) -> None:
        self.day = Day()
        self.ticker = Ticker(self.day)  # type: ignore[arg-type]
        self.last_read = self.day.now
        self.unsent = 0
        self.expired: list[tuple[str, float]] = []
        self.pings: list[float] = []
        self.watch = Watch(self.ticker, Clocks(**(OFF | clocks)), self, self._expired)

    def _expired(self, name: str, seconds: float) -> None:
        self.expired.append((name, seconds))

    def ping(self, first: float, every: float) -> None:
        start = self.day.now
        self.watch.ping_with(lambda: self.pings.append(round(self.day.now - start, 1)), start + first, every)

    def go(self, seconds: float) -> None:
        self.day.go(seconds)

    def read(self) -> None:
        self.last_read = self.day.now

    def quiet_for(self, seconds: float) -> bool:
        """Nothing strikes in that time, and a clock of ``seconds`` would not have expired early."""
        self.go(seconds)
        return not self.expired


def expires(scene: Scene, name: str, after: float) -> None:
    """That clock strikes once, not before ``after`` seconds and at most one tick later."""
    assert scene.quiet_for(after - 0.001)
    scene.go(TICK + 0.002)
    assert [expired for expired, _ in scene.expired] == [name]
    scene.go(1000.0)
    assert len(scene.expired) == 1


def test_without_clocks_nothing_expires() -> None:
    scene = Scene()
    scene.watch.head_seen()
    assert scene.quiet_for(1000.0)


@pytest.mark.parametrize("name", ["headers", "first_content", "total"])
def test_the_first_clocks_expire_if_nothing_comes(name: str) -> None:
    scene = Scene(**{name: 10.0})
    expires(scene, {"first_content": "firstContent"}.get(name, name), 10.0)
    assert scene.expired[0][1] == 10.0


def test_the_headers_clock_stops_with_the_head() -> None:
    scene = Scene(headers=10.0)
    scene.go(9.0)
    scene.watch.head_seen()
    assert scene.quiet_for(1000.0)


def test_the_first_content_clock_stops_only_with_the_commit() -> None:
    scene = Scene(first_content=10.0, idle=5.0)
    scene.watch.head_seen()
    for _ in range(3):
        scene.go(3.0)
        scene.read()  # comments
    assert not scene.expired
    expires(scene, "firstContent", 1.0)

    scene = Scene(first_content=10.0)
    scene.watch.head_seen()
    scene.go(9.0)
    scene.watch.committed()
    assert scene.quiet_for(1000.0)


def test_the_idle_clock_starts_with_the_head_and_restarts_with_every_read() -> None:
    scene = Scene(idle=5.0)
    assert scene.quiet_for(100.0)
    scene.read()
    scene.watch.head_seen()
    for _ in range(5):
        assert scene.quiet_for(4.9)
        scene.read()
    expires(scene, "idle", 5.0)


def test_the_total_clock_expires_whatever_is_read() -> None:
    scene = Scene(total=10.0, idle=5.0, first_content=5.0)
    scene.watch.head_seen()
    scene.watch.committed()
    for _ in range(9):
        assert scene.quiet_for(1.0)
        scene.read()
    expires(scene, "total", 1.0)


def test_the_clock_that_runs_out_first_is_the_one_that_is_named() -> None:
    scene = Scene(total=9.0, headers=7.0, first_content=8.0)
    expires(scene, "headers", 7.0)


def test_while_reading_is_paused_only_the_client_stall_clock_runs() -> None:
    scene = Scene(total=10.0, idle=5.0, first_content=20.0, client_stall=60.0)
    scene.watch.head_seen()
    scene.go(4.0)
    scene.unsent = 100
    scene.watch.pause()
    assert scene.quiet_for(50.0)
    scene.watch.resume()
    # 4 of 5 idle seconds and 4 of 10 in all had passed before the pause.
    expires(scene, "idle", 1.0)


def test_after_a_pause_the_total_clock_continues() -> None:
    scene = Scene(total=10.0, client_stall=60.0)
    scene.go(4.0)
    scene.watch.pause()
    scene.go(30.0)
    scene.watch.resume()
    scene.watch.resume()  # a second one changes nothing
    expires(scene, "total", 6.0)


def test_the_stall_clock_expires_for_a_client_that_takes_nothing() -> None:
    scene = Scene(client_stall=5.0)
    scene.unsent = 1000
    scene.watch.pause()
    expires(scene, "clientStall", 5.0)


def test_the_stall_clock_restarts_for_a_client_that_takes_a_little() -> None:
    scene = Scene(client_stall=5.0, total=10.0)
    scene.unsent = 1000
    scene.watch.pause()
    for _ in range(10):
        assert scene.quiet_for(4.0)
        scene.unsent -= 1
    assert scene.quiet_for(4.9)
    scene.watch.resume()
    expires(scene, "total", 10.0)


def test_without_a_stall_clock_a_pause_may_last() -> None:
    scene = Scene(total=1.0, idle=1.0)
    scene.watch.pause()
    assert scene.quiet_for(1000.0)


def test_after_the_terminal_event_one_clock_and_the_clients_remain() -> None:
    scene = Scene(total=100.0, idle=100.0, client_stall=3.0)
    scene.watch.head_seen()
    scene.go(50.0)
    scene.watch.bound(5.0)
    expires(scene, "total", 5.0)

    scene = Scene(client_stall=3.0)
    scene.unsent = 10
    scene.watch.pause()
    scene.watch.bound(5.0)
    expires(scene, "clientStall", 3.0)


def test_the_deadline_expires_in_time_and_names_the_seconds_that_were_left() -> None:
    scene = Scene()
    scene.watch.commit_before(scene.day.now + 10.0)
    expires(scene, "deadline", 10.0)
    assert scene.expired[0][1] == 10.0


def test_the_deadline_runs_through_the_head_and_through_reads() -> None:
    scene = Scene(idle=5.0)
    scene.watch.commit_before(scene.day.now + 10.0)
    scene.watch.head_seen()
    for _ in range(3):
        scene.go(3.0)
        scene.read()
    assert not scene.expired
    expires(scene, "deadline", 1.0)


def test_the_deadline_ends_with_the_content_commit() -> None:
    scene = Scene(total=100.0)
    scene.watch.commit_before(scene.day.now + 10.0)
    scene.go(9.9)
    scene.watch.committed()
    assert scene.quiet_for(80.0)
    expires(scene, "total", 10.1)


@pytest.mark.parametrize(("deadline", "first"), [(5.0, "deadline"), (9.0, "headers")])
def test_of_the_deadline_and_the_clocks_the_first_expires(deadline: float, first: str) -> None:
    scene = Scene(headers=7.0, first_content=8.0, total=20.0)
    scene.watch.commit_before(scene.day.now + deadline)
    expires(scene, first, min(deadline, 7.0))


def test_a_past_deadline_expires_at_once_and_names_zero_seconds() -> None:
    scene = Scene(total=10.0)
    scene.watch.commit_before(scene.day.now - 3.0)
    expires(scene, "deadline", 0.001)
    assert scene.expired[0][1] == 0.0


def test_a_pause_does_not_move_the_deadline() -> None:
    scene = Scene(client_stall=60.0)
    scene.watch.commit_before(scene.day.now + 10.0)
    scene.watch.pause()
    assert scene.quiet_for(50.0)  # what is paused is watched by the client's clock alone
    scene.watch.resume()
    scene.go(2 * TICK)
    assert [expired for expired, _ in scene.expired] == ["deadline"]  # its moment is not moved by a pause


def test_after_the_terminal_event_there_is_no_deadline() -> None:
    scene = Scene()
    scene.watch.commit_before(scene.day.now + 10.0)
    scene.watch.bound(100.0)
    expires(scene, "total", 100.0)


def test_a_stopped_watch_never_expires_and_leaves_nothing() -> None:
    scene = Scene(total=10.0)
    scene.go(1.0)
    scene.watch.stop()
    assert len(scene.ticker) == 0
    assert scene.quiet_for(100.0)
    assert scene.day.waiting == 0


# -- pings ------------------------------------------------------------------------------------------------


def test_before_the_content_pings_are_regular_whatever_is_read() -> None:
    scene = Scene()
    scene.ping(15.0, 10.0)
    for _ in range(48):
        scene.go(1.0)
        scene.read()
    assert [round(moment) for moment in scene.pings] == [15, 25, 35, 45]


def test_after_the_content_a_ping_needs_a_silence() -> None:
    scene = Scene()
    scene.ping(15.0, 10.0)
    scene.watch.committed()
    for _ in range(30):
        scene.go(1.0)
        scene.read()
    assert scene.pings == []
    scene.go(25.0)
    assert [round(moment) for moment in scene.pings] == [40, 50]


def test_there_is_no_ping_while_the_client_takes_nothing() -> None:
    scene = Scene()
    scene.ping(15.0, 10.0)
    scene.watch.pause()
    scene.go(100.0)
    assert scene.pings == []


def test_there_is_no_ping_after_the_terminal_event() -> None:
    scene = Scene()
    scene.ping(15.0, 10.0)
    scene.watch.bound(100.0)
    scene.go(50.0)
    assert scene.pings == []


# -- the ticker ---------------------------------------------------------------------------------------------


def test_the_ticker_has_no_timer_without_members() -> None:
    scene = Scene(total=10.0)
    assert scene.day.waiting == 1
    scene.watch.stop()
    scene.go(10 * TICK)
    assert scene.day.waiting == 0
    again = Watch(scene.ticker, Clocks(**(OFF | {"total": 1.0})), scene, scene._expired)
    assert scene.day.waiting == 1
    scene.go(1.0 + 2 * TICK)
    assert scene.expired == [("total", 1.0)]
    again.stop()


def test_many_watches_expire_each_at_its_own_time() -> None:
    scene = Scene()
    expired: list[int] = []

    def one(number: int) -> Watch:
        clocks = Clocks(**(OFF | {"total": float(number)}))
        return Watch(scene.ticker, clocks, scene, lambda name, seconds: expired.append(number))

    watches = [one(number) for number in (5, 3, 4, 1, 2)]
    scene.go(3.5)
    assert expired == [1, 2, 3]
    scene.go(3.5)
    assert expired == [1, 2, 3, 4, 5]
    del watches


def test_a_watch_that_fails_does_not_stop_the_others() -> None:
    scene = Scene(total=10.0)

    def fail(name: str, seconds: float) -> None:
        raise ZeroDivisionError

    Watch(scene.ticker, Clocks(**(OFF | {"total": 1.0})), scene, fail)
    with pytest.raises(ZeroDivisionError):
        scene.go(2.0)
    scene.go(20.0)
    assert scene.expired == [("total", 10.0)]


async def test_it_ticks_on_a_real_loop() -> None:
    class Still:
        last_read = 0.0
        unsent = 0

    over = asyncio.Event()
    expired: list[Any] = []

    def note(name: str, seconds: float) -> None:
        expired.append((name, seconds))
        over.set()

    ticker = Ticker(asyncio.get_running_loop())
    Watch(ticker, Clocks(**(OFF | {"total": 0.01})), Still(), note)
    await within(over.wait(), "the clock")
    assert expired == [("total", 0.01)]


# How long a client that leaves has waited


def test_waited_is_the_share_of_the_first_content_clock_before_the_content() -> None:
    scene = Scene(first_content=20.0, idle=10.0, total=100.0)
    scene.go(5.0)
    assert scene.watch.waited() == 0.25
    scene.watch.head_seen()
    scene.read()
    assert scene.watch.waited() == 0.25


def test_waited_is_the_share_of_the_idle_clock_while_content_comes() -> None:
    scene = Scene(first_content=20.0, idle=10.0, total=100.0)
    scene.watch.head_seen()
    scene.watch.committed()
    scene.go(4.0)
    scene.read()
    assert scene.watch.waited() == 0.0
    scene.go(6.0)
    assert scene.watch.waited() == 0.6


def test_waited_is_the_share_of_the_total_clock_for_a_plain_answer() -> None:
    scene = Scene(idle=10.0, total=100.0)
    scene.go(50.0)
    assert scene.watch.waited() == 0.5
    scene.watch.head_seen()
    scene.read()
    scene.go(1.0)
    assert scene.watch.waited() == 0.1


def test_waited_is_zero_without_clock_and_while_reading_is_paused() -> None:
    scene = Scene()
    scene.go(50.0)
    assert scene.watch.waited() == 0.0
    scene = Scene(first_content=20.0, idle=100.0)
    scene.watch.head_seen()
    scene.watch.committed()
    scene.watch.pause()
    scene.go(50.0)
    assert scene.watch.waited() == 0.0
