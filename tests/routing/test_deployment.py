from __future__ import annotations

from typing import Any

import pytest

from proxy.routing.deployment import Deployment
from tests.support.catalogs import build

KEYS = {"p": {"baseUrl": "http://127.0.0.1:1/v1", "apiKeys": ["first", "second"]}}


def deployment(**model: Any) -> Deployment:
    [found] = build([{"name": "m", "provider": "p"} | model], KEYS).deployments
    return found


@pytest.mark.parametrize(
    ("model", "endpoint", "named", "auto"),
    [
        ({}, "chat/completions", True, True),
        ({}, "embeddings", True, False),  # unknown: a request that names the model may try
        ({"type": "embedding"}, "embeddings", True, True),
        ({"type": "embedding"}, "chat/completions", False, False),
        ({"endpoints": ["chat", "embeddings"]}, "embeddings", True, True),
        ({"endpoints": ["chat", "embeddings"]}, "responses", True, True),  # translated to chat
        ({"endpoints": ["chat", "embeddings"]}, "completions", False, False),
    ],
)
def test_a_model_without_a_type_serves_any_endpoint_but_auto_uses_it_for_text_only(
    model: dict[str, Any], endpoint: str, named: bool, auto: bool
) -> None:
    found = deployment(**model)
    assert (found.serves(endpoint), found.serves_auto(endpoint)) == (named, auto)


def test_a_deployment_serves_no_endpoint_whose_dialect_its_provider_does_not_speak() -> None:
    settings = {"p": KEYS["p"] | {"dialects": {"chat": {"enabled": False}}}}
    [found] = build([{"name": "m", "provider": "p"}], settings).deployments
    assert (found.serves("responses"), found.serves("completions")) == (True, False)
    assert (found.serves_auto("responses"), found.serves_auto("completions")) == (True, False)


def test_the_name_at_the_provider_is_ready_as_json() -> None:
    assert deployment(model='a"b').model_json == b'"a\\"b"'
    assert deployment().model_json == b'"m"'


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        ({}, (1.0, 0, 0, False)),
        ({"weight": 2.5, "contextSize": 8000, "maxConcurrent": 3, "prefill": True}, (2.5, 8000, 3, True)),
    ],
)
def test_settings_of_the_model_are_read_from_the_deployment(model: dict[str, Any], facts: tuple[Any, ...]) -> None:
    found = deployment(**model)
    assert (found.weight, found.context_size, found.max_concurrent, found.prefills) == facts


def test_a_head_is_made_once_for_each_endpoint_and_key() -> None:
    found = deployment()
    first, second = (found.provider.keys.take(0.0) for _ in range(2))
    assert first is not None
    assert second is not None
    heads = {key: found.call_head("responses", key) for key in (first, second)}
    assert b"Bearer first" in heads[first]
    assert b"Bearer second" in heads[second]
    assert found.call_head("responses", first) is heads[first]
    assert found.call_head("embeddings", first) != heads[first]


def test_a_head_with_a_query_is_not_kept() -> None:
    # Clients choose queries, so a cache of them would be without bound.
    found = deployment()
    key = found.provider.keys.take(0.0)
    assert key is not None
    assert found.call_head("responses", key, "x=1").startswith(b"POST /v1/responses?x=1 HTTP/1.1")
    assert found.call_head("responses", key).startswith(b"POST /v1/responses HTTP/1.1")
    assert len(found._heads) == 1


def test_a_repr_is_the_label_without_an_address() -> None:
    assert repr(deployment()) == "<Deployment p/m>"
