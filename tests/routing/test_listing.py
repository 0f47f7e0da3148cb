from __future__ import annotations

import json
import random
from typing import Any

import pytest

from proxy.errors import ClientFault
from proxy.routing.access import access
from proxy.routing.listing import MOST_COMPARED, available, unknown
from proxy.routing.spec import Spec
from proxy.wire.criteria import NONE
from tests.routing.samples import ANY, LEFT_OUT, OPENAI, PROVIDERS, catalog, planned
from tests.support.catalogs import ENDPOINT, build, every, plan_for


def test_the_error_for_an_omitted_model_suggests_other_providers() -> None:
    known = build([], ANY, left_out=LEFT_OUT)
    with pytest.raises(ClientFault, match=r"set OPENROUTER_API_KEY\. To use it at a provider, name both: 'a/r1' or"):
        plan_for(known, "r1")


def test_the_error_for_an_unlisted_model_explains_any_model() -> None:
    with pytest.raises(ClientFault) as caught:
        plan_for(catalog(open=OPENAI), "deepseek/foo")
    assert "deepseek serves only the models that models.yaml lists; `anyModel: true` lets it take any name." in (
        caught.value.message
    )
    spec = Spec(("deepseek/foo",), False, NONE, ENDPOINT, access=access((), ("open",)), waited=True)
    with pytest.raises(ClientFault) as caught:
        catalog(open=OPENAI).plan(spec, None, 0.0, random.Random(0))
    assert "anyModel" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "near"),
    [("deepseek-r2", "'deepseek-r1'"), ("deepsek-chat", "'deepseek-chat'"), ("DeepSeek-Chat", "'deepseek-chat'")],
)
def test_similar_names_are_suggested(name: str, near: str) -> None:
    with pytest.raises(ClientFault, match="Did you mean") as caught:
        plan_for(catalog(), name)
    assert near in caught.value.message


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("dmeo", ["demo"]),
        ("demo-ct", ["demo-cut"]),
        ("DEMO", ["demo"]),
        ("gpt-4.2", ["gpt-4.1", "gpt-4.0"]),
        ("p/dmeo", ["demo"]),
        ("p/vendor", ["vendor/x"]),
    ],
)
def test_only_the_nearest_names_are_suggested(name: str, near: list[str]) -> None:
    names = ["demo", "demo-cut", "demo-503", "gpt-4.1", "gpt-4.0", "gpt-4-turbo-long"]
    models: list[dict[str, Any]] = [{"name": each, "provider": "p"} for each in names]
    models.append({"name": "other", "provider": "p", "model": "vendor/x"})
    with pytest.raises(ClientFault) as caught:
        plan_for(build(models, {"p": {"baseUrl": "http://p"}}), name)
    suggested = caught.value.message.partition("Did you mean ")[2].rstrip("?").split(" or ")
    assert sorted(each.strip("'") for each in suggested) == sorted(near)


def test_known_models_are_listed_if_no_name_is_similar() -> None:
    with pytest.raises(ClientFault, match="Known models: deepseek-chat, deepseek-r1"):
        plan_for(catalog(), "zzzzzz")


def test_an_unknown_name_with_several_providers_is_a_404_that_explains_prefixes() -> None:
    with pytest.raises(ClientFault) as caught:
        plan_for(build([], ANY), "llama3")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
    assert "'a/llama3' or 'b/llama3'" in caught.value.message
    assert planned(build([], ANY), "b/llama3") == [("b", "llama3")]


def test_similar_names_are_suggested_among_many_models() -> None:
    many = [{"name": f"model-{number}", "provider": "deepseek"} for number in range(1000)]
    with pytest.raises(ClientFault, match="Did you mean 'model-1'"):
        plan_for(build(many, {"deepseek": PROVIDERS["deepseek"]}), "model_1")


def test_the_listing_has_openai_objects_and_gateway_rows() -> None:
    listing = json.loads(catalog().listing)
    assert listing["object"] == "list"
    assert listing["data"] == [
        {"id": "deepseek-r1", "object": "model", "created": 1_700_000_000, "owned_by": "openrouter"},
        {"id": "deepseek-chat", "object": "model", "created": 1_700_000_000, "owned_by": "deepseek"},
    ]
    assert [set(row) for row in listing["models"]] == [
        {"name", "provider", "type", "contextSize", "tags", "available"}
    ] * 4
    assert [(row["name"], row["provider"], row["available"]) for row in listing["models"]] == [
        ("off", "deepseek", False),
        ("deepseek-r1", "openrouter", True),
        ("deepseek-chat", "deepseek", True),
        ("deepseek-r1", "deepseek", True),
    ]
    assert listing["models"][1]["type"] == "reasoning"
    assert listing["models"][1]["contextSize"] == 64000
    assert listing["models"][1]["tags"] == ["reasoning", "code"]
    assert listing["models"][2]["contextSize"] is None


# -- the sentences alone --------------------------------------------------------------------------


def test_a_long_name_is_shortened_in_the_404() -> None:
    assert len(unknown("x" * 10_000, ["a"], ["a"], ["p"]).message) < 700


def test_at_most_ten_known_models_and_five_providers_are_named() -> None:
    names = [f"model-{number:02}" for number in range(20)]
    assert unknown("zzz", [], names).message.endswith(f"Known models: {', '.join(names[:10])}.")
    providers = [f"p{number}" for number in range(9)]
    assert unknown("zzz", [], names, providers).message.endswith(
        "To use it at a provider, name both: 'p0/zzz' or 'p1/zzz' or 'p2/zzz' or 'p3/zzz' or 'p4/zzz'."
    )


def test_among_many_names_only_those_with_the_same_beginning_are_compared() -> None:
    many = [f"model-{number}" for number in range(MOST_COMPARED)]
    assert "Did you mean 'amodel'" in unknown("bmodel", ["amodel", *many[1:]], []).message
    assert "Did you mean" not in unknown("bmodel", ["amodel", *many], []).message


def test_a_model_that_is_not_configured_counts_as_available() -> None:
    [own, off] = build([{"name": name, "provider": "p", "available": name == "own"} for name in ("own", "off")],
                       {"p": {"baseUrl": "http://p"}}).deployments  # fmt: skip
    assert (available(own), available(off)) == (True, False)
    catalog_of_any = build([], {"p": {"baseUrl": "http://p"}})
    assert all(map(available, every(plan_for(catalog_of_any, "unlisted"))))
