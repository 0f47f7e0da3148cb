from __future__ import annotations

from proxy.limits.leases import Leases

GPT, OTHER = ("model:concurrent", "gpt"), ("model:concurrent", "other")


def test_a_lease_holds_each_slot_once() -> None:
    leases = Leases()
    assert leases.add(GPT, 1)
    assert not leases.add(GPT, 1)
    assert leases.add(OTHER, 1)
    assert leases.add(GPT, 2)
    assert sorted(leases) == [(GPT, 1), (GPT, 2), (OTHER, 1)]


def test_a_slot_that_is_not_held_is_not_released() -> None:
    leases = Leases()
    leases.add(GPT, 1)
    assert not leases.remove(OTHER, 1)
    assert not leases.remove(GPT, 2)
    assert leases.remove(GPT, 1)
    assert not leases.remove(GPT, 1)


def test_a_lease_without_slots_is_removed() -> None:
    leases = Leases()
    assert not leases
    leases.add(GPT, 1)
    assert (GPT, 1) in leases
    leases.remove(GPT, 1)
    assert (GPT, 1) not in leases
    assert not leases
