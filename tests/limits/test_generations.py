from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.bucket import FULL
from proxy.limits.generations import Generations

LONGEST = 60.0  # a generation lives for twice as long


class Stage:
    """Generations as a store uses them: writes and reads ``full_at`` at given times."""

    def __init__(self, most: int = 1000) -> None:
        self.now = 1000.0
        self.keys = Generations(most, LONGEST, self.now)

    def get(self, key: str, longest: float = LONGEST) -> float:
        if self.now >= self.keys.turns_at or longest > self.keys.longest:
            self.keys.prepare(longest, self.now)
        full_at = self.keys.young.get(key)
        return self.keys.recall(key, self.now) if full_at is None else full_at

    def put(self, key: str, full_at: float, longest: float = LONGEST) -> None:
        self.get(key, longest)
        self.keys.young[key] = full_at


def test_keys_unused_for_a_generation_are_dropped() -> None:
    stage = Stage()
    stage.put("a", 1060.0)
    stage.now += 2 * LONGEST
    stage.put("b", 1180.0)
    assert dict(stage.keys.items()) == {"a": 1060.0, "b": 1180.0}
    stage.now += 2 * LONGEST
    stage.get("c")
    assert dict(stage.keys.items()) == {"b": 1180.0}


def test_used_keys_stay() -> None:
    stage = Stage()
    stage.put("a", 1060.0)
    for _ in range(10):
        stage.now += LONGEST
        assert stage.get("a") == 1060.0
    assert len(stage.keys) == 1


def test_after_two_idle_generations_no_key_is_left() -> None:
    stage = Stage()
    stage.put("a", 1060.0)
    stage.now += 4 * LONGEST
    assert stage.get("a") == FULL
    assert len(stage.keys) == 0


def test_peeking_moves_nothing() -> None:
    stage = Stage()
    stage.put("a", 1060.0)
    stage.now += 2 * LONGEST
    stage.get("b")
    assert stage.keys.peek("a") == 1060.0
    assert stage.keys.peek("b") == FULL
    assert "a" not in stage.keys.young


def test_a_longer_refill_makes_the_generations_longer() -> None:
    stage = Stage()
    stage.now += 1.9 * LONGEST
    stage.put("a", stage.now + 20 * LONGEST, longest=10 * LONGEST)
    for _ in range(19):
        stage.now += LONGEST
        stage.get("b")
    assert "a" in dict(stage.keys.items())


def test_a_full_generation_turns_early_and_used_keys_survive() -> None:
    stage = Stage(most=3)
    stage.put("old", 1060.0)
    for key in "abcdefghij":
        stage.put("a", 1061.0)
        stage.put(key, 1061.0 if key == "a" else 1062.0)
        assert len(stage.keys) <= 6
    assert stage.get("a") == 1061.0
    assert stage.get("old") == FULL


def test_a_key_that_is_moved_into_a_full_generation_is_not_lost() -> None:
    stage = Stage(most=2)
    for key in "abcd":
        stage.put(key, 1060.0)
    assert stage.get("a") == 1060.0  # besides, c and d were used last
    assert dict(stage.keys.items()) == dict.fromkeys("acd", 1060.0)


def test_after_an_early_turn_a_generation_lasts_its_full_time() -> None:
    stage = Stage(most=2)
    stage.now += 1.5 * LONGEST
    stage.put("a", stage.now + 2 * LONGEST)
    stage.put("b", stage.now)
    stage.put("c", stage.now)
    stage.now += LONGEST
    assert stage.keys.peek("a") == stage.now + LONGEST
    stage.get("c")
    assert stage.keys.peek("a") == stage.now + LONGEST


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 200.0) | st.sampled_from([0.0, 120.0, 1000.0]),
            st.sampled_from("abc"),
            st.sampled_from([60.0, 30.0, 90.0]),
            st.none() | st.floats(0.0, 2.0),
        )
    )
)
def test_only_full_buckets_are_dropped(steps: list[tuple[float, str, float, float | None]]) -> None:
    stage, all_of_it = Stage(), dict[str, float]()
    for seconds, key, refill, ahead in steps:
        stage.now += seconds
        if ahead is not None:
            all_of_it[key] = stage.now + ahead * refill
            stage.put(key, all_of_it[key], refill)
        for known, full_at in all_of_it.items():
            assert max(stage.keys.peek(known), stage.now) == max(full_at, stage.now)
        assert max(stage.get(key, refill), stage.now) == max(all_of_it.get(key, FULL), stage.now)


def test_generations_have_a_readable_repr() -> None:
    stage = Stage()
    stage.put("a", 1060.0)
    assert repr(stage.keys) == "<Generations 1 young, 0 old keys, until 1120.000>"
