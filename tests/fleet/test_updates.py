from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from proxy.breakers.breaker import Breaker, Policy, State
from proxy.fleet.updates import (
    MAX_WAITING,
    UNAVAILABLE_SECS,
    BreakerMessage,
    BreakerUpdate,
    UpdateQueue,
    decode,
    encode,
    update_of,
)

POLICY = Policy(failure_threshold=1, cooldown=60.0, success_threshold=1)


class UpdateRecorder:
    """A breaker, and the updates that its changes make."""

    def __init__(self) -> None:
        self.updates: list[BreakerUpdate] = []
        self.breaker = Breaker(POLICY, "one", self.changed)

    def changed(self, breaker: Breaker, old: State, now: float) -> None:
        if (update := update_of(breaker, now)) is not None:
            self.updates.append(update)

    def fail(self, now: float) -> None:
        self.breaker.fail(self.breaker.acquire("chat", now), now, "status_500")

    @property
    def fields(self) -> list[tuple[str, float, float | None, str, str]]:
        assert {update.key for update in self.updates} <= {"one"}
        return [(update.event, update.at, update.until, update.reason, update.endpoint) for update in self.updates]


# --- what is shared -----------------------------------------------------------------------


def test_an_opening_and_a_failed_probe_are_shared_with_the_end_of_the_cooldown() -> None:
    recorder = UpdateRecorder()
    recorder.fail(10.0)
    recorder.fail(70.0)
    assert recorder.fields == [("open", 10.0, 70.0, "status_500", ""), ("open", 70.0, 130.0, "status_500", "")]


def test_recovery_is_not_shared() -> None:
    recorder = UpdateRecorder()
    recorder.fail(10.0)
    entry = recorder.breaker.acquire("chat", 70.0)
    recorder.breaker.succeed(entry, "chat", 70.0)
    assert recorder.breaker.state == "closed"
    assert [what for what, *_ in recorder.fields] == ["open"]


def test_each_endpoint_without_the_model_is_shared_in_any_state() -> None:
    recorder = UpdateRecorder()
    for endpoint in ("a", "b", "a"):
        recorder.breaker.missing(endpoint, 1.0)
    recorder.fail(2.0)
    recorder.breaker.missing("c", 3.0)
    marks = [(endpoint, until) for what, _, until, _, endpoint in recorder.fields if what == "unavailable"]
    assert marks == [("a", 1.0 + UNAVAILABLE_SECS), ("b", 1.0 + UNAVAILABLE_SECS), ("c", 3.0 + UNAVAILABLE_SECS)]


def test_a_missing_model_is_shared_with_the_length_of_its_cooldown() -> None:
    recorder = UpdateRecorder()
    recorder.breaker.policy = structs.replace(recorder.breaker.policy, missing_cooldown=120.0)
    recorder.breaker.missing("a", 1.0)
    recorder.breaker.missing("a", 122.0)
    assert [(update.until, update.cooldown) for update in recorder.updates] == [(121.0, 120.0), (362.0, 240.0)]
    news = decode(encode(recorder.updates[-1], "me", 5.0))
    assert news is not None
    assert (news.cooldown, news.age) == (240.0, 5.0)


def test_an_operators_change_is_shared_even_if_it_changes_nothing_here() -> None:
    recorder = UpdateRecorder()
    recorder.breaker.reset(1.0)
    recorder.fail(2.0)
    recorder.breaker.trip(3.0, "x" * 5000)
    recorder.breaker.trip(4.0, "operator")
    recorder.breaker.reset(5.0)
    assert recorder.fields == [
        ("closed", 1.0, None, "", ""),
        ("open", 2.0, 62.0, "status_500", ""),
        ("held", 3.0, None, "x" * 200, ""),
        ("held", 4.0, None, "operator", ""),
        ("closed", 5.0, None, "", ""),
    ]


def test_a_reload_is_an_update_only_if_it_clears_something() -> None:
    recorder = UpdateRecorder()
    recorder.breaker.reload(1.0)
    recorder.breaker.missing("a", 2.0)
    recorder.breaker.reload(3.0)
    assert [what for what, *_ in recorder.fields] == ["unavailable", "reloaded"]


def test_a_remote_change_is_not_shared_again() -> None:
    recorder = UpdateRecorder()
    recorder.breaker.apply_remote("open", 10.0, 5.0, "status_500")
    recorder.breaker.apply_remote("unavailable", 10.0, 5.0, "", "a")
    recorder.breaker.apply_remote("held", 10.0, 5.0, "operator")
    recorder.breaker.apply_remote("closed", 10.0, 5.0, "")
    assert recorder.fields == []


# --- what waits -----------------------------------------------------------------------------------


def update(what: str, key: str = "one", endpoint: str = "", at: float = 0.0) -> BreakerUpdate:
    return BreakerUpdate(key, what, at, None, "", endpoint)  # type: ignore[arg-type]


def waiting(*words: BreakerUpdate) -> list[tuple[str, str, str]]:
    box = UpdateQueue()
    for each in words:
        box.put(each)
    return [each.subject for each in box.waiting()]


def test_an_update_replaces_the_one_before_it_on_the_same_subject() -> None:
    box = UpdateQueue()
    first, other, latest = update("open"), update("open", "two"), update("open", at=5.0)
    for each in (first, other, latest):
        box.put(each)
    assert box.waiting() == [other, latest]


def test_a_reset_removes_waiting_updates_of_its_deployment() -> None:
    said = [update("open"), update("unavailable", endpoint="a"), update("held"), update("open", "two")]
    assert waiting(*said, update("closed")) == [("two", "open", ""), ("one", "closed", "")]
    assert waiting(update("closed"), update("open")) == [("one", "closed", ""), ("one", "open", "")]


def test_a_reload_removes_waiting_updates_of_endpoints_only() -> None:
    said = [update("open"), update("unavailable", endpoint="a"), update("unavailable", "two", "a")]
    assert waiting(*said, update("reloaded")) == [
        ("one", "open", ""),
        ("two", "unavailable", "a"),
        ("one", "reloaded", ""),
    ]


def test_an_update_replaced_while_it_was_sent_still_waits() -> None:
    box = UpdateQueue()
    box.put(update("open"))
    box.put(update("open", "two"))
    sent = box.waiting()
    box.put(later := update("open", at=5.0))
    box.sent(sent)
    assert box.waiting() == [later]


def test_the_oldest_updates_are_dropped_over_the_bound() -> None:
    box = UpdateQueue()
    for number in range(MAX_WAITING + 2):
        box.put(update("open", str(number)))
    assert len(box) == MAX_WAITING
    assert box.waiting()[0].key == "2"


@pytest.mark.parametrize(("until", "now", "left"), [(None, 1e9, 0.0), (60.0, 10.0, 50.0), (60.0, 60.0, -1.0)])
def test_an_update_has_its_remaining_time(until: float | None, now: float, left: float) -> None:
    assert BreakerUpdate("one", "open", 0.0, until).left(now) == left


# --- what travels -----------------------------------------------------------------------------------


@given(
    what=st.sampled_from(["open", "held", "unavailable", "closed"]),
    texts=st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=50)] * 4),
    age=st.floats(0, 1e10),
)
def test_encoding_round_trips(what: str, texts: tuple[str, str, str, str], age: float) -> None:
    origin, key, why, endpoint = texts
    message = encode(BreakerUpdate(key, what, 3.0, None, why, endpoint), origin, age)  # type: ignore[arg-type]
    assert decode(message) == BreakerMessage(origin, key, what, age, why, endpoint)  # type: ignore[arg-type]


def test_a_message_has_an_age_and_no_time() -> None:
    message = encode(BreakerUpdate("one", "open", 123456.0, 123516.0, "status_500"), "me", 7.5)
    fields = {"origin": "me", "key": "one", "told": "open", "age": 7.5, "why": "status_500", "endpoint": ""} | {
        "cooldown": 0.0
    }
    assert msgspec.json.decode(message) == fields
    assert encode(update("reloaded"), "me", 0.0) == b""


VALID = {"origin": "me", "key": "one", "told": "open", "age": 1.0}


@pytest.mark.parametrize(
    "changed",
    [
        {"age": -1},
        {"age": "1"},
        {"age": None},
        {"age": 1e300},
        {"told": "half_open"},
        {"told": "reloaded"},
        {"key": 1},
        {"why": "x" * 4001},
    ],
)
def test_a_message_with_an_invalid_member_is_none(changed: dict[str, object]) -> None:
    assert decode(msgspec.json.encode(VALID)) is not None
    assert decode(msgspec.json.encode(VALID | changed)) is None


def test_members_of_a_later_version_are_ignored() -> None:
    assert decode(msgspec.json.encode(VALID | {"mood": ["bad"]})) == BreakerMessage("me", "one", "open", 1.0)


@given(st.binary(max_size=200))
@example(b"")
@example(b'{"origin":"\xff"}')
@example(b"[" * 100_000)
@example(b'{"x":' + b"[" * 100_000)
@example(b'{"origin":"a","key":"b","told":"open","age":1e999}')
def test_arbitrary_bytes_are_none(message: bytes) -> None:
    assert decode(message) is None
