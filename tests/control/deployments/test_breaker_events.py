"""Events of breakers: each change once, of a flapping one not each, and of several replicas one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.breakers.breaker import Breaker, Permit
from proxy.control.clock import WallClock
from proxy.control.deployments.breaker_events import MOST, WINDOW_SECS, BreakerData, BreakerEvents
from proxy.control.deployments.index import DeploymentIndex
from proxy.events.base import EventReceiver, GatewayEvent
from proxy.events.receivers import EventReceivers
from tests.control.deployments.test_index import Gateway

WALL = 1_700_000_000.0
CHAT = "chat/completions"


class Replica:
    """A gateway with one deployment, whose breaker opens at the second failure, and closes at the first success."""

    def __init__(self, process: str = "one", *, shared: bool = False) -> None:
        circuit = {"failureThreshold": 2, "cooldownPeriodSecs": 30, "successThreshold": 1}
        self.gateway = Gateway(circuitBreaker=circuit)
        self.gateway.now = 1000.0
        self.events: list[GatewayEvent] = []
        self.receivers = EventReceivers((EventReceiver("broker"),))
        self.due: list[tuple[float, Callable[[], None]]] = []
        clock = WallClock(lambda: self.now, lambda: WALL + self.now)
        index = DeploymentIndex(self.gateway, lambda: self.now)
        self.listener = BreakerEvents(index, clock, self.receivers, self, process, self.later, shared=shared)
        self.gateway.registry.on_change.append(self.listener.changed)
        self.breaker: Breaker = self.gateway.catalog.deployments[0].live.breaker

    @property
    def now(self) -> float:
        return self.gateway.now

    def offer(self, event: GatewayEvent) -> None:
        self.events.append(event)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, call))

    def wait(self, seconds: float) -> None:
        self.gateway.now += seconds
        due = [call for at, call in self.due if at <= self.now]
        self.due = [each for each in self.due if each[0] > self.now]
        for call in due:
            call()

    def fail(self) -> None:
        for _ in range(2):
            self.breaker.fail(Permit.NORMAL, self.now, "timeout")

    def probe(self, *, works: bool) -> None:
        permit = self.breaker.acquire(CHAT, self.now)
        assert permit.probe
        if works:
            self.breaker.succeed(permit, CHAT, self.now)
        else:
            self.breaker.fail(permit, self.now, "refused")

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [(data.from_, data.to) for data in self.data]

    @property
    def data(self) -> list[BreakerData]:
        found: list[Any] = [event.data for event in self.events]
        return found


def test_a_breaker_is_told_from_its_opening_to_its_recovery() -> None:
    replica = Replica()
    replica.fail()
    replica.wait(30)
    replica.probe(works=False)
    replica.wait(30)
    replica.probe(works=True)
    assert replica.changes == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]
    assert len({event.id for event in replica.events}) == 5
    assert {(event.type, event.subject) for event in replica.events} == {("breaker_changed", "up/m")}
    first = replica.data[0]
    assert (first.deployment, first.provider, first.model, first.cause, first.reason, first.held, first.process) == (
        "up/m",
        "up",
        "m",
        "limit",
        "timeout",
        False,
        "one",
    )
    assert (first.at, first.until) == (WALL + 1000, WALL + 1030)
    assert [(data.reason, data.until) for data in replica.data[1:]] == [
        ("", None),
        ("refused", WALL + 1060),
        ("", None),
        ("", None),
    ]


def test_operators_and_missing_models_are_told() -> None:
    replica = Replica()
    replica.breaker.trip(replica.now, "by hand")
    replica.breaker.trip(replica.now, "again")
    replica.breaker.reset(replica.now)
    replica.breaker.reset(replica.now)
    replica.breaker.missing(CHAT, replica.now)
    replica.breaker.missing("embeddings", replica.now)
    replica.breaker.reload(replica.now)
    assert [(data.to, data.cause, data.held, data.reason) for data in replica.data] == [
        ("open", "trip", True, "by hand"),
        ("closed", "reset", False, ""),
        ("unavailable", "missing", False, ""),
        ("closed", "reload", False, ""),
    ]
    assert [data.until for data in replica.data] == [None, None, WALL + 1120, None]


def test_without_a_receiver_nothing_is_told() -> None:
    replica = Replica()
    replica.receivers.adopt((EventReceiver("broker", ("ai_usage",)),))
    replica.fail()
    replica.receivers.adopt((EventReceiver("broker", ("breaker_changed",)),))
    replica.breaker.reset(replica.now)
    assert replica.changes == [("open", "closed")]


def test_names_that_clients_make_up_are_not_told() -> None:
    replica = Replica()
    live = replica.gateway.registry.live("up/any@http://127.0.0.1:1/v1", unlisted=True)
    live.breaker.trip(replica.now, "by hand")
    assert replica.events == []


def test_flapping_is_told_some_times_and_then_what_came_of_it() -> None:
    replica = Replica()
    for _ in range(50):
        replica.breaker.trip(replica.now, "by hand")
        replica.breaker.reset(replica.now)
    replica.breaker.trip(replica.now, "by hand")
    assert len(replica.events) == MOST
    assert len(replica.due) == 1
    replica.wait(WINDOW_SECS - 1)
    assert len(replica.events) == MOST
    replica.wait(1)
    assert replica.changes[MOST:] == [("closed", "open")]
    replica.breaker.reset(replica.now)
    assert replica.changes[MOST:] == [("closed", "open"), ("open", "closed")]


def test_what_is_postponed_is_told_at_the_stop_and_nothing_if_it_came_to_nothing() -> None:
    for last, expected in (("open", [("closed", "open")]), ("closed", [])):
        replica = Replica()
        for _ in range(MOST):
            replica.breaker.trip(replica.now, "by hand")
            replica.breaker.reset(replica.now)
        if last == "open":
            replica.breaker.trip(replica.now, "by hand")
        replica.listener.close()
        replica.listener.close()
        assert replica.changes[MOST:] == expected
        replica.wait(WINDOW_SECS)
        assert replica.changes[MOST:] == expected


def test_of_replicas_that_share_breakers_one_tells_that_one_opened() -> None:
    one, other = Replica("one", shared=True), Replica("other", shared=True)
    one.fail()
    other.breaker.apply_remote("open", other.now, one.now, "timeout")
    assert other.breaker.state == "open"
    assert other.events == []
    for replica in (one, other):
        replica.wait(30)
        replica.probe(works=True)
    assert one.changes[1:] == other.changes == [("open", "half_open"), ("half_open", "closed")]
    assert not {event.id for event in one.events} & {event.id for event in other.events}


def test_replicas_that_open_at_once_tell_the_same_event() -> None:
    one, other = Replica("one", shared=True), Replica("other", shared=True)
    one.fail()
    other.wait(2)
    other.fail()
    assert [event.id for event in one.events] == [event.id for event in other.events]
    alone = Replica("one")
    alone.fail()
    assert alone.events[0].id != one.events[0].id


STEPS = st.lists(st.sampled_from(["fail", "good", "bad", "trip", "reset", "missing", "short", "long"]), max_size=60)


@given(STEPS, st.booleans())
def test_changes_follow_one_another_and_end_with_the_present_state(steps: list[str], shared: bool) -> None:
    replica = Replica(shared=shared)
    for step in steps:
        match step:
            case "fail":
                replica.fail()
            case "good" | "bad":
                permit = replica.breaker.acquire(CHAT, replica.now)
                if permit and step == "good":
                    replica.breaker.succeed(permit, CHAT, replica.now)
                elif permit:
                    replica.breaker.fail(permit, replica.now, "refused")
            case "trip":
                replica.breaker.trip(replica.now, "by hand")
            case "reset":
                replica.breaker.reset(replica.now)
            case "missing":
                replica.breaker.missing(CHAT, replica.now)
            case _:
                replica.wait(1.0 if step == "short" else 40.0)
    replica.listener.close()
    states = ["closed", *(to for _, to in replica.changes)]
    assert [from_ for from_, _ in replica.changes] == states[:-1]
    assert states[-1] == replica.breaker.state
    assert len({event.id for event in replica.events}) == len(replica.events)
    told = [data.at for data in replica.data]
    assert all(after - before >= WINDOW_SECS - 1 for before, after in zip(told, told[MOST + 1 :], strict=False))
