"""Changes of services as changes of entries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from proxy.control.services.override_body import with_address, with_weight, without_addresses, without_weights
from proxy.control.services.service_plans import ServicePlans
from proxy.errors import ClientFault
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.specs import read_override
from proxy.services.store.base import EntryChange

A, B = "http://a:1", "http://b:1"
ADDRESSES = [{"url": A, "weight": 1.0}, {"url": B, "weight": 2.0}]
WEIGHTS = st.floats(0, 1000) | st.none()


def plans(override: dict[str, Any] | None = None) -> ServicePlans:
    entries = [RoutingEntry("service", "s", {"addresses": ADDRESSES}, 3)]
    if override is not None:
        entries.append(RoutingEntry("override", "s", override, 7))
    return ServicePlans(Entries.of(9, entries), {"filed"})


def test_the_version_is_that_of_the_last_change_of_the_service_or_of_its_override() -> None:
    assert plans().version("s") == 3
    assert plans({"weight": 2}).version("s") == 7
    assert plans().version("filed") == 0
    assert plans().version("other") is None


def test_deleting_a_service_deletes_its_override() -> None:
    assert plans().delete("s", ()) == [EntryChange("service", "s", None), EntryChange("override", "s", None)]


def test_a_replaced_address_has_its_own_weight_again_and_stays_drained() -> None:
    override = {"weight": 2, "addresses": {A: {"weight": 5, "drained": True}, B: {"weight": 6}}}
    service, changed = plans(override).add_address("s", {"url": A, "weight": 4.0})
    assert service.body == {"addresses": [{"url": A, "weight": 4.0}, ADDRESSES[1]]}
    assert changed == EntryChange("override", "s", {"weight": 2, "addresses": {A: {"drained": True}, B: {"weight": 6}}})


def test_a_removed_address_leaves_nothing_behind() -> None:
    service, changed = plans({"addresses": {A: {"drained": True}}}).delete_address("s", A, "settings")
    assert service.body == {"addresses": [ADDRESSES[1]]}
    assert changed == EntryChange("override", "s", None)


def test_what_stays_the_same_is_no_change_of_the_override() -> None:
    assert [each.kind for each in plans().add_address("s", {"url": A})] == ["service"]
    assert plans({"weight": 2}).set_weight("s", "", 2, 5) == []


def test_a_service_of_the_file_that_is_weighed_has_the_version_of_that() -> None:
    entries = Entries.of(4, [RoutingEntry("override", "filed", {"weight": 2}, 4)])
    assert ServicePlans(entries, {"filed"}).version("filed") == 4


def test_unknown_addresses_are_not_drained() -> None:
    from proxy.control.services.bodies import AddressBody

    with pytest.raises(ClientFault) as caught:
        plans().change_address("s", "http://c:1", AddressBody(drained=True), known=False)
    assert caught.value.status == 404


@given(st.lists(st.tuples(st.sampled_from((A, B, "")), WEIGHTS, st.booleans()), max_size=12))
def test_any_order_of_changes_leaves_a_valid_override_without_empty_parts(
    changes: list[tuple[str, float | None, bool]],
) -> None:
    body: dict[str, Any] = {}
    for url, weight, drained in changes:
        body = with_address(body, url, weight, drained) if url else with_weight(body, weight)
    read_override(body)
    assert all(body.get("addresses", {"": True}).values())
    assert without_addresses(with_weight(body, None), [A, B]) == {}
    left = without_weights(with_weight(body, None), [A, B])
    assert all(each == {"drained": True} for each in left.get("addresses", {}).values())
    assert with_address(body, A, UNSET, UNSET) == body
