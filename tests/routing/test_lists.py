"""Fetched model lists of providers, and plans with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.errors import ClientFault
from proxy.providers.provider import Site
from proxy.routing.access import ALL, access
from proxy.routing.catalog import Catalog
from proxy.routing.lists import KEPT, RETRY, ListsPending, ModelLists
from tests.support.catalogs import build, every, plan_for

ANY: dict[str, Any] = {
    "a": {"baseUrl": "http://127.0.0.1:1/v1"},
    "b": {"baseUrl": "http://127.0.0.1:2/v1"},
}
OWN = {"c": {"baseUrl": "http://127.0.0.1:3/v1"}}
MODELS = [{"name": "known", "provider": "c"}, {"name": "off", "provider": "c", "available": False}]


class Requested(ModelLists):
    """Lists that record which providers were fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.requested: list[str] = []
        self.request = lambda site: self.requested.append(site.provider.name)


def site(known: Catalog, provider: str = "a") -> Site:
    """The first address of a provider."""
    return known.providers[provider].sites[0]


def listing(known: Catalog, lists: ModelLists, now: float = 0.0, **names: list[str]) -> None:
    for name, found in names.items():
        lists.end(site(known, name), now, found)


def candidates(known: Catalog, *names: str, now: float = 0.0) -> list[tuple[str, str | None]]:
    return [(each.provider.name, each.upstream_model) for each in every(plan_for(known, *names, now=now), now)]


# -- where a name goes --------------------------------------------------------------------------------


def test_a_bare_name_is_routed_to_the_providers_that_list_it_in_file_order() -> None:
    lists = ModelLists()
    known = build([], ANY, lists=lists)
    listing(known, lists, b=["llama", "both"], a=["qwen", "both"])
    assert candidates(known, "llama") == [("b", "llama")]
    assert candidates(known, "qwen") == [("a", "qwen")]
    assert candidates(known, "both") == [("a", "both"), ("b", "both")]


def test_a_fetched_list_never_rejects_a_name() -> None:
    lists = ModelLists()
    known = build([], ANY, lists=lists)
    listing(known, lists, a=["qwen"], b=["llama"])
    assert candidates(known, "a/brand-new") == [("a", "brand-new")]
    only = build([], {"a": ANY["a"]}, lists=lists)
    assert candidates(only, "brand-new") == [("a", "brand-new")]


def test_a_name_with_the_prefix_of_another_provider_is_found_in_its_own_list() -> None:
    lists = ModelLists()
    known = build([{"name": "x", "provider": "c"}], ANY | OWN, lists=lists)
    listing(known, lists, a=["c/labs-1"])
    assert candidates(known, "c/labs-1") == [("a", "c/labs-1")]
    with pytest.raises(ClientFault):
        plan_for(known, "c/labs-2")


def test_configured_names_take_precedence_over_fetched_lists() -> None:
    lists = ModelLists()
    known = build(MODELS, ANY | OWN, lists=lists)
    listing(known, lists, a=["known", "off"])
    assert candidates(known, "known") == [("c", "known")]
    assert candidates(known, "off") == []


def test_the_list_of_a_provider_without_any_model_is_not_fetched() -> None:
    lists = Requested()
    known = build(MODELS, OWN | ANY, lists=lists, fallback={"provider": "a", "model": "spare"})
    assert [each.provider.name for each in known.stale_lists(0.0)] == ["b"]
    listing(known, lists, a=["paid"])
    assert candidates(known, "paid") == [("b", "paid")]  # the only one that takes any name
    assert "paid" not in [each["id"] for each in json.loads(known.listing)["data"]]


# -- when a list is waited for ------------------------------------------------------------------------


def test_an_unknown_name_waits_for_lists_that_may_have_it() -> None:
    lists = ModelLists()
    known = build([], ANY, lists=lists)
    with pytest.raises(ListsPending) as caught:
        plan_for(known, "llama", waited=False)
    assert [each.provider.name for each in caught.value.sites] == ["a", "b"]
    with pytest.raises(ClientFault):  # it has been waited for, in vain
        plan_for(known, "llama")


def test_a_list_of_names_waits_for_its_first_unknown_name() -> None:
    known = build(MODELS, ANY | OWN)
    with pytest.raises(ListsPending):
        plan_for(known, "llama", "known", waited=False)
    assert candidates(known, "llama", "known") == [("c", "known")]


@pytest.mark.parametrize("name", ["known", "off", "a/llama", "auto"])
def test_a_plan_waits_only_if_a_list_could_change_it(name: str) -> None:
    known = build(MODELS, ANY | OWN)
    assert plan_for(known, name, waited=False)
    assert plan_for(build([], {"a": ANY["a"]}), "llama", waited=False)
    with pytest.raises(ClientFault):
        plan_for(build(MODELS, OWN), "llama", waited=False)
    with pytest.raises(ClientFault):
        plan_for(known, "x" * 10_000, waited=False)


def test_an_unknown_name_has_a_list_fetched_again_at_most_every_ten_seconds() -> None:
    lists = ModelLists()
    known = build([], ANY, lists=lists)
    listing(known, lists, a=["qwen"], b=["llama"])
    with pytest.raises(ClientFault):
        plan_for(known, "new", waited=False, now=RETRY - 1)
    with pytest.raises(ListsPending):
        plan_for(known, "new", waited=False, now=RETRY)
    lists.begin(site(known))  # one that runs is waited for
    with pytest.raises(ListsPending) as caught:
        plan_for(known, "new", waited=False, now=1.0)
    assert [each.provider.name for each in caught.value.sites] == ["a"]


def test_an_unlisted_name_refreshes_the_list_in_the_background() -> None:
    lists = Requested()
    known = build([], {"a": ANY["a"]}, lists=lists)
    candidates(known, "x")
    assert lists.requested == ["a"]
    lists.end(site(known), 1.0, None)  # it has no list
    candidates(known, "y", now=KEPT)
    assert lists.requested == ["a"]
    candidates(known, "y", now=KEPT + 1.0)
    assert lists.requested == ["a", "a"]


def test_a_list_is_used_until_it_is_replaced() -> None:
    lists = ModelLists()
    known = build([], {"a": ANY["a"]}, lists=lists)
    only = site(known)
    assert known.stale_lists(0.0) == [only]
    listing(known, lists, a=["qwen"])
    assert known.stale_lists(KEPT - 1) == []
    assert known.stale_lists(KEPT) == [only]
    lists.end(only, KEPT, None)  # it is down
    assert known.stale_lists(KEPT + RETRY - 1) == []
    assert known.stale_lists(KEPT + RETRY) == [only]
    assert ids(known) == ["qwen"]


# -- listings -----------------------------------------------------------------------------------------


def ids(known: Catalog, **limits: tuple[str, ...]) -> list[str]:
    found = json.loads(known.pages.listed(access(**({"models": (), "providers": ()} | limits))))
    return [each["id"] for each in found["data"]]


def test_the_listing_has_the_models_of_the_providers_after_those_of_the_configuration() -> None:
    lists = ModelLists()
    known = build(MODELS, ANY | OWN, lists=lists)
    assert ids(known) == ["known"]
    listing(known, lists, a=["qwen", "both", "known", "off"], b=["both", "a/odd"])
    assert ids(known) == ["known", "qwen", "both", "b/a/odd"]
    assert candidates(known, "b/a/odd") == [("b", "a/odd")]
    data = json.loads(known.listing)["data"]
    assert [each["owned_by"] for each in data] == ["c", "a", "a", "b"]
    assert set(map(tuple, data)) == {("id", "object", "created", "owned_by")}
    listing(known, lists, a=["qwen"], b=[])
    assert ids(known) == ["known", "qwen"]


def test_a_restricted_credential_lists_only_models_that_it_may_use() -> None:
    lists = ModelLists()
    known = build([], ANY, lists=lists)
    listing(known, lists, a=["qwen", "llama"], b=["llama"])
    assert ids(known, models=("q*",)) == ["qwen"]
    assert ids(known, providers=("b",)) == ["llama"]
    assert ids(known, models=("b/llama",)) == ["llama"]
    assert known.pages.find("qwen", access((), ("b",))) is None
    assert known.pages.find("qwen", access((), ("a",))) is not None


@pytest.mark.parametrize(("name", "owner"), [("qwen", "a"), ("a/qwen", "a"), ("b/a/odd", "b")])
def test_a_model_of_a_fetched_list_can_be_retrieved(name: str, owner: str) -> None:
    lists = ModelLists()
    known = build([], ANY, lists=lists)
    listing(known, lists, a=["qwen"], b=["a/odd"])
    found = json.loads(known.pages.find(name, ALL) or b"{}")
    assert (found["id"], found["owned_by"]) == (name, owner)
    assert known.pages.find("nothing") is None


def test_names_of_fetched_lists_are_suggested() -> None:
    lists = ModelLists()
    known = build([], ANY, lists=lists)
    listing(known, lists, a=["qwen-2.5"])
    with pytest.raises(ClientFault, match=r"Did you mean 'qwen-2\.5'"):
        plan_for(known, "qwen-25")


# -- what survives a reload ---------------------------------------------------------------------------


def test_a_list_survives_a_reload_unless_its_provider_changed() -> None:
    lists = ModelLists()
    old = build([], ANY, lists=lists)
    listing(old, lists, a=["qwen"], b=["llama"])
    moved = ANY | {"b": {"baseUrl": "http://127.0.0.1:9/v1"}}
    new = build([], moved, lists=lists)
    lists.keep(new.providers.values(), 0.0)
    assert ids(new) == ["qwen"]
    assert ids(build([], ANY, lists=lists)) == ["qwen"]


def test_changed_is_called_only_for_other_names() -> None:
    lists = ModelLists()
    versions: list[int] = []
    lists.changed = lambda: versions.append(lists.version)
    only = site(build([], {"a": ANY["a"]}, lists=lists))
    for names in (["x"], ["x"], None, ["x", "y"]):
        lists.end(only, 0.0, names)
    assert len(versions) == 2
