"""The six clocks and the ping, with the time handed in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.config.timeouts import Clocks
from proxy.net.clocks import TICK, Ticker, Watch

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
    """One watched attempt: when it last read, how much its client has not taken, which clocks struck."""

    def __init__(self, **clocks: float) -> None:
        self.day = Day()
        self.ticker = Ticker(self.day)  # type: ignore[arg-type]
        self.last_read = self.day.now
        self.unsent = 0
        self.struck: list[tuple[str, float]] = []
        self.pings: list[float] = []
        self.watch = Watch(self.ticker, Clocks(**(OFF | clocks)), self, self._expired)

    def _expired(self, name: str, seconds: float) -> None:
        self.struck.append((name, seconds))

    def ping(self, first: float, every: float) -> None:
        start = self.day.now
        self.watch.ping_with(lambda: self.pings.append(round(self.day.now - start, 1)), start + first, every)

    def go(self, seconds: float) -> None:
        self.day.go(seconds)

    def read(self) -> None:
        self.last_read = self.day.now

    def quiet_for(self, seconds: float) -> bool:
        """Nothing strikes in that time, and a clock of ``seconds`` would not have struck early."""
        self.go(seconds)
        return not self.struck


def strikes(scene: Scene, name: str, after: float) -> None:
    """That clock strikes once, not before ``after`` seconds and at most one tick later."""
    assert scene.quiet_for(after - 0.001)
    scene.go(TICK + 0.002)
    assert [struck for struck, _ in scene.struck] == [name]
    scene.go(1000.0)
    assert len(scene.struck) == 1


def test_without_clocks_nothing_ever_strikes() -> None:
    scene = Scene()
    scene.watch.head_seen()
    assert scene.quiet_for(1000.0)


@pytest.mark.parametrize("name", ["headers", "first_content", "total"])
def test_a_clock_of_the_beginning_strikes_when_nothing_comes(name: str) -> None:
    scene = Scene(**{name: 10.0})
    strikes(scene, {"first_content": "firstContent"}.get(name, name), 10.0)
    assert scene.struck[0][1] == 10.0


def test_the_headers_clock_stops_with_the_head() -> None:
    scene = Scene(headers=10.0)
    scene.go(9.0)
    scene.watch.head_seen()
    assert scene.quiet_for(1000.0)


def test_the_first_content_clock_runs_through_the_head_and_through_reads_and_stops_with_the_commit() -> None:
    scene = Scene(first_content=10.0, idle=5.0)
    scene.watch.head_seen()
    for _ in range(3):
        scene.go(3.0)
        scene.read()  # comments
    assert not scene.struck
    strikes(scene, "firstContent", 1.0)

    scene = Scene(first_content=10.0)
    scene.watch.head_seen()
    scene.go(9.0)
    scene.watch.committed()
    assert scene.quiet_for(1000.0)


def test_the_idle_clock_starts_with_the_head_and_every_read_sets_it_back() -> None:
    scene = Scene(idle=5.0)
    assert scene.quiet_for(100.0)
    scene.read()
    scene.watch.head_seen()
    for _ in range(5):
        assert scene.quiet_for(4.9)
        scene.read()
    strikes(scene, "idle", 5.0)


def test_the_total_clock_strikes_whatever_comes() -> None:
    scene = Scene(total=10.0, idle=5.0, first_content=5.0)
    scene.watch.head_seen()
    scene.watch.committed()
    for _ in range(9):
        assert scene.quiet_for(1.0)
        scene.read()
    strikes(scene, "total", 1.0)


def test_the_clock_that_runs_out_first_is_the_one_that_is_named() -> None:
    scene = Scene(total=9.0, headers=7.0, first_content=8.0)
    strikes(scene, "headers", 7.0)


def test_while_we_pause_only_the_clients_clock_runs() -> None:
    scene = Scene(total=10.0, idle=5.0, first_content=20.0, client_stall=60.0)
    scene.watch.head_seen()
    scene.go(4.0)
    scene.unsent = 100
    scene.watch.pause()
    assert scene.quiet_for(50.0)
    scene.watch.resume()
    # 4 of 5 idle seconds and 4 of 10 in all had passed before the pause.
    strikes(scene, "idle", 1.0)


def test_after_a_pause_the_total_clock_goes_on_where_it_stood() -> None:
    scene = Scene(total=10.0, client_stall=60.0)
    scene.go(4.0)
    scene.watch.pause()
    scene.go(30.0)
    scene.watch.resume()
    scene.watch.resume()  # a second one changes nothing
    strikes(scene, "total", 6.0)


def test_a_client_that_takes_nothing_runs_into_its_clock() -> None:
    scene = Scene(client_stall=5.0)
    scene.unsent = 1000
    scene.watch.pause()
    strikes(scene, "clientStall", 5.0)


def test_a_client_that_takes_a_little_now_and_then_does_not() -> None:
    scene = Scene(client_stall=5.0, total=10.0)
    scene.unsent = 1000
    scene.watch.pause()
    for _ in range(10):
        assert scene.quiet_for(4.0)
        scene.unsent -= 1
    assert scene.quiet_for(4.9)
    scene.watch.resume()
    strikes(scene, "total", 10.0)


def test_without_a_stall_clock_a_pause_may_last() -> None:
    scene = Scene(total=1.0, idle=1.0)
    scene.watch.pause()
    assert scene.quiet_for(1000.0)


def test_what_is_over_is_bounded_by_one_clock_and_the_clients() -> None:
    scene = Scene(total=100.0, idle=100.0, client_stall=3.0)
    scene.watch.head_seen()
    scene.go(50.0)
    scene.watch.bound(5.0)
    strikes(scene, "total", 5.0)

    scene = Scene(client_stall=3.0)
    scene.unsent = 10
    scene.watch.pause()
    scene.watch.bound(5.0)
    strikes(scene, "clientStall", 3.0)


def test_the_deadline_strikes_at_its_moment_and_names_the_seconds_that_were_left() -> None:
    scene = Scene()
    scene.watch.commit_before(scene.day.now + 10.0)
    strikes(scene, "deadline", 10.0)
    assert scene.struck[0][1] == 10.0


def test_the_deadline_runs_through_the_head_and_through_reads() -> None:
    scene = Scene(idle=5.0)
    scene.watch.commit_before(scene.day.now + 10.0)
    scene.watch.head_seen()
    for _ in range(3):
        scene.go(3.0)
        scene.read()
    assert not scene.struck
    strikes(scene, "deadline", 1.0)


def test_the_content_commit_is_in_time_for_the_deadline_whatever_the_end_takes() -> None:
    scene = Scene(total=100.0)
    scene.watch.commit_before(scene.day.now + 10.0)
    scene.go(9.9)
    scene.watch.committed()
    assert scene.quiet_for(80.0)
    strikes(scene, "total", 10.1)


@pytest.mark.parametrize(("deadline", "first"), [(5.0, "deadline"), (9.0, "headers")])
def test_between_the_deadline_and_the_clocks_the_first_strikes(deadline: float, first: str) -> None:
    scene = Scene(headers=7.0, first_content=8.0, total=20.0)
    scene.watch.commit_before(scene.day.now + deadline)
    strikes(scene, first, min(deadline, 7.0))


def test_a_deadline_that_is_past_strikes_at_once_and_names_no_seconds_below_zero() -> None:
    scene = Scene(total=10.0)
    scene.watch.commit_before(scene.day.now - 3.0)
    strikes(scene, "deadline", 0.001)
    assert scene.struck[0][1] == 0.0


def test_the_deadline_is_no_matter_of_how_much_the_client_takes() -> None:
    scene = Scene(client_stall=60.0)
    scene.watch.commit_before(scene.day.now + 10.0)
    scene.watch.pause()
    assert scene.quiet_for(50.0)  # what is paused is watched by the client's clock alone
    scene.watch.resume()
    scene.go(2 * TICK)
    assert [struck for struck, _ in scene.struck] == ["deadline"]  # its moment is not moved by a pause


def test_what_is_over_has_no_deadline() -> None:
    scene = Scene()
    scene.watch.commit_before(scene.day.now + 10.0)
    scene.watch.bound(100.0)
    strikes(scene, "total", 100.0)


def test_a_stopped_watch_strikes_no_more_and_leaves_nothing_behind() -> None:
    scene = Scene(total=10.0)
    scene.go(1.0)
    scene.watch.stop()
    assert len(scene.ticker) == 0
    assert scene.quiet_for(100.0)
    assert scene.day.waiting == 0


# -- pings ------------------------------------------------------------------------------------------------


def test_before_the_content_pings_come_at_the_set_moment_and_then_regularly_whatever_is_read() -> None:
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


def test_there_is_no_ping_after_what_is_over() -> None:
    scene = Scene()
    scene.ping(15.0, 10.0)
    scene.watch.bound(100.0)
    scene.go(50.0)
    assert scene.pings == []


# -- the ticker ---------------------------------------------------------------------------------------------


def test_the_ticker_rests_while_nobody_is_watched() -> None:
    scene = Scene(total=10.0)
    assert scene.day.waiting == 1
    scene.watch.stop()
    scene.go(10 * TICK)
    assert scene.day.waiting == 0
    again = Watch(scene.ticker, Clocks(**(OFF | {"total": 1.0})), scene, scene._expired)
    assert scene.day.waiting == 1
    scene.go(1.0 + 2 * TICK)
    assert scene.struck == [("total", 1.0)]
    again.stop()


def test_many_watches_strike_each_at_its_own_time() -> None:
    scene = Scene()
    struck: list[int] = []

    def one(number: int) -> Watch:
        clocks = Clocks(**(OFF | {"total": float(number)}))
        return Watch(scene.ticker, clocks, scene, lambda name, seconds: struck.append(number))

    watches = [one(number) for number in (5, 3, 4, 1, 2)]
    scene.go(3.5)
    assert struck == [1, 2, 3]
    scene.go(3.5)
    assert struck == [1, 2, 3, 4, 5]
    del watches


def test_a_watch_that_fails_does_not_stop_the_others() -> None:
    scene = Scene(total=10.0)

    def fail(name: str, seconds: float) -> None:
        raise ZeroDivisionError

    Watch(scene.ticker, Clocks(**(OFF | {"total": 1.0})), scene, fail)
    with pytest.raises(ZeroDivisionError):
        scene.go(2.0)
    scene.go(20.0)
    assert scene.struck == [("total", 10.0)]


async def test_it_ticks_on_a_real_loop() -> None:
    class Still:
        last_read = 0.0
        unsent = 0

    struck = asyncio.Event()
    expired: list[Any] = []

    def note(name: str, seconds: float) -> None:
        expired.append((name, seconds))
        struck.set()

    ticker = Ticker(asyncio.get_running_loop())
    Watch(ticker, Clocks(**(OFF | {"total": 0.01})), Still(), note)
    async with asyncio.timeout(5.0):
        await struck.wait()
    assert expired == [("total", 0.01)]


# How long a client that leaves has waited


def test_before_the_content_it_is_the_part_of_the_first_content_clock() -> None:
    scene = Scene(first_content=20.0, idle=10.0, total=100.0)
    scene.go(5.0)
    assert scene.watch.waited() == 0.25
    scene.watch.head_seen()
    scene.read()
    assert scene.watch.waited() == 0.25


def test_while_content_comes_it_is_the_part_of_the_idle_clock_since_the_last_read() -> None:
    scene = Scene(first_content=20.0, idle=10.0, total=100.0)
    scene.watch.head_seen()
    scene.watch.committed()
    scene.go(4.0)
    scene.read()
    assert scene.watch.waited() == 0.0
    scene.go(6.0)
    assert scene.watch.waited() == 0.6


def test_of_a_plain_answer_it_is_the_part_of_the_total_clock_until_its_head_came() -> None:
    scene = Scene(idle=10.0, total=100.0)
    scene.go(50.0)
    assert scene.watch.waited() == 0.5
    scene.watch.head_seen()
    scene.read()
    scene.go(1.0)
    assert scene.watch.waited() == 0.1


def test_a_clock_that_is_off_or_a_client_that_takes_nothing_is_no_waiting() -> None:
    scene = Scene()
    scene.go(50.0)
    assert scene.watch.waited() == 0.0
    scene = Scene(first_content=20.0, idle=100.0)
    scene.watch.head_seen()
    scene.watch.committed()
    scene.watch.pause()
    scene.go(50.0)
    assert scene.watch.waited() == 0.0
