from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.slots import Slots


def test_a_lease_holds_one_slot_or_none() -> None:
    slots = Slots()
    assert slots.count_with("client:concurrent", "ann", 1) == 1
    assert slots.count("client:concurrent", "ann") == 0
    slots.acquire("client:concurrent", "ann", 1)
    assert slots.count_with("client:concurrent", "ann", 1) == 1
    assert slots.count_with("client:concurrent", "ann", 2) == 2
    assert slots.count_with("client:concurrent", "ben", 2) == 1


def test_only_what_is_held_is_released() -> None:
    slots = Slots()
    slots.release("client:concurrent", "ann", 1)
    slots.acquire("client:concurrent", "ann", 1)
    for name, key, lease in [
        ("model:concurrent", "ann", 1),
        ("client:concurrent", "ben", 1),
        ("client:concurrent", "ann", 2),
    ]:
        slots.release(name, key, lease)
    assert slots.count("client:concurrent", "ann") == 1


def test_keys_without_held_slots_are_dropped() -> None:
    slots = Slots()
    slots.acquire("client:concurrent", "ann", 1)
    slots.acquire("client:concurrent", "ben", 1)
    slots.release("client:concurrent", "ann", 1)
    slots.release("client:concurrent", "ann", 1)
    assert list(slots.items("client:concurrent")) == [("ben", 1)]
    assert list(slots.items("model:concurrent")) == []
    assert repr(slots) == "<Slots client:concurrent of 1 keys>"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(1, 4))))
def test_the_count_is_the_number_of_holding_leases(steps: list[tuple[bool, str, int]]) -> None:
    slots, holders = Slots(), set[tuple[str, int]]()
    for holding, key, lease in steps:
        if holding:
            slots.acquire("client:concurrent", key, lease)
            holders.add((key, lease))
        else:
            slots.release("client:concurrent", key, lease)
            holders.discard((key, lease))
        assert slots.count("client:concurrent", key) == sum(held == key for held, _ in holders)
    assert dict(slots.items("client:concurrent")) == {
        key: sum(held == key for held, _ in holders) for key in {held for held, _ in holders}
    }
