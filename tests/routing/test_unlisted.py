"""Models that the addresses of a service list, and names that no list has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.errors import ClientFault
from proxy.routing.lists import FORGOTTEN, ListsPending
from tests.support.catalogs import every, plan_for
from tests.support.fleets import PROVIDER, Fleet

A, B = "http://127.0.0.1:1", "http://127.0.0.1:2"
OTHER = {"fleet": PROVIDER, "other": {"baseUrl": "http://127.0.0.1:9/v1"}}


def candidates(fleet: Fleet, name: str, **options: Any) -> list[tuple[str, str | None]]:
    plan = plan_for(fleet.catalog, name, **options)
    return sorted((each.site.base_url, each.upstream_model) for each in every(plan))


def listed(fleet: Fleet) -> list[str]:
    return [each["id"] for each in json.loads(fleet.catalog.listing)["data"]]


def test_a_model_is_sent_only_to_the_addresses_that_list_it() -> None:
    fleet = Fleet()
    fleet.set(A, B)
    fleet.list(A, "qwen", "both")
    fleet.list(B, "llama", "both")
    assert candidates(fleet, "qwen") == [(f"{A}/v1", "qwen")]
    assert candidates(fleet, "both") == [(f"{A}/v1", "both"), (f"{B}/v1", "both")]
    assert candidates(fleet, "fleet/llama") == [(f"{B}/v1", "llama")]
    assert candidates(fleet, "llama", pinned="fleet") == [(f"{B}/v1", "llama")]
    assert listed(fleet) == ["qwen", "both", "llama"]


def test_models_appear_and_vanish_with_their_address() -> None:
    fleet = Fleet()
    fleet.set(A)
    fleet.list(A, "qwen")
    fleet.set(A, B)
    assert candidates(fleet, "auto") == [(f"{A}/v1", "qwen")]
    fleet.list(B, "llama")
    assert candidates(fleet, "auto") == [(f"{A}/v1", "qwen"), (f"{B}/v1", "llama")]
    fleet.set(B)
    assert candidates(fleet, "auto") == [(f"{B}/v1", "llama")]
    assert listed(fleet) == ["llama"]
    with pytest.raises(ClientFault, match="does not exist"):
        plan_for(fleet.catalog, "qwen")


def test_auto_waits_for_the_first_list_of_a_service() -> None:
    fleet = Fleet()
    fleet.set(A)
    with pytest.raises(ListsPending) as caught:
        plan_for(fleet.catalog, "auto", waited=False)
    assert [site.base_url for site in caught.value.sites] == [f"{A}/v1"]
    fleet.list(A, "qwen")
    assert candidates(fleet, "auto", waited=False) == [(f"{A}/v1", "qwen")]


@pytest.mark.parametrize("name", ["nomic-embed-text", "bge-m3", "Qwen3-Reranker", "whisper-1", "kokoro-tts"])
def test_auto_leaves_out_models_for_other_tasks(name: str) -> None:
    fleet = Fleet()
    fleet.set(A)
    fleet.list(A, name, "gemma-2-2b-it")
    assert candidates(fleet, "auto") == [(f"{A}/v1", "gemma-2-2b-it")]
    assert candidates(fleet, name) == [(f"{A}/v1", name)]


def test_an_address_without_a_list_takes_any_name_after_those_that_list_it() -> None:
    fleet = Fleet()
    fleet.set(A, B)
    fleet.list(A, "qwen")
    assert candidates(fleet, "unheard") == [(f"{B}/v1", "unheard")]
    assert candidates(fleet, "qwen") == [(f"{A}/v1", "qwen")]
    fleet.list(B, "llama")
    with pytest.raises(ClientFault, match="does not exist"):
        plan_for(fleet.catalog, "unheard")


def test_ollamas_tag_may_be_left_out() -> None:
    fleet = Fleet()
    fleet.set(A)
    fleet.list(A, "llama3:latest", "llama3:70b")
    assert candidates(fleet, "llama3") == [(f"{A}/v1", "llama3:latest")]


def test_configured_models_go_before_discovered_ones() -> None:
    fleet = Fleet(providers=OTHER, others=[{"name": "qwen", "provider": "other"}])
    fleet.set(A)
    fleet.list(A, "qwen")
    assert candidates(fleet, "qwen") == [("http://127.0.0.1:9/v1", "qwen")]
    assert candidates(fleet, "fleet/qwen") == [(f"{A}/v1", "qwen")]


def test_the_models_of_a_service_that_lost_its_addresses_are_unavailable_and_others_unknown() -> None:
    fleet = Fleet(providers=OTHER)
    fleet.set(A)
    fleet.list(A, "qwen")
    fleet.lists.end(fleet.catalog.providers["other"].sites[0], 0.0, ["gpt"])
    fleet.set()
    plan = plan_for(fleet.catalog, "qwen")
    assert [(each.label, reason) for each, reason in plan.skipped] == [("fleet/qwen#1", "no_address")]
    with pytest.raises(ClientFault, match="does not exist"):
        plan_for(fleet.catalog, "typo")


def test_an_address_that_does_not_answer_keeps_its_list_for_a_while() -> None:
    fleet = Fleet()
    fleet.set(A)
    fleet.list(A, "qwen", now=1.0)
    [site] = fleet.catalog.providers["fleet"].sites
    fleet.lists.end(site, FORGOTTEN, None)
    assert candidates(fleet, "qwen") == [(f"{A}/v1", "qwen")]
    fleet.lists.end(site, FORGOTTEN + 1.0, None)
    fleet.renew()
    assert listed(fleet) == []
