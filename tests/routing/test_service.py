"""What a provider serves: natively, and by translation."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects import table
from proxy.dialects.table import EMBEDDINGS, RESPONSES
from proxy.routing.endpoints import ENDPOINTS
from proxy.routing.service import Service, service_of
from tests.support.catalogs import build


def service(served: frozenset[str] | None = None, *, translates: bool = True, **settings: Any) -> Service:
    known = build([], {"p": {"baseUrl": "http://127.0.0.1:1/v1"} | settings})
    return service_of(known.providers["p"].sites[0], served=served, translates=translates)


def pairs(found: Service) -> dict[str, str]:
    return {path: endpoint.path for path, endpoint in found.translated.items()}


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.wire in ("chat", "responses")])
def test_a_provider_answers_in_the_dialect_of_each_endpoint_that_it_speaks(endpoint: Any) -> None:
    assert service().dialects[endpoint.path] is endpoint.dialect


@pytest.mark.parametrize(
    ("path", "dialect"),
    [("chat/completions", RESPONSES), ("completions", RESPONSES), ("responses", RESPONSES), ("embeddings", EMBEDDINGS)],
)
def test_a_separate_dialect_is_for_text_endpoints(path: str, dialect: object) -> None:
    assert service(dialect=table.RESPONSES.name).dialects[path] is dialect


def test_what_the_provider_speaks_is_not_translated() -> None:
    everything = {name: {"baseUrl": "http://127.0.0.1:1/v1"} for name in ("chat", "responses", "messages")}
    assert not {"chat/completions", "responses", "messages"} & pairs(service(dialects=everything)).keys()


def test_a_chat_provider_serves_the_other_dialects_by_translation() -> None:
    found = service(dialects={"responses": {"enabled": False}})
    assert pairs(found).items() >= {("messages", "chat/completions"), ("responses", "chat/completions")}
    assert found.sites["messages"] is found.sites["chat/completions"]
    assert found.dialects["messages"] is table.CHAT


def test_the_dialect_of_the_provider_s_own_kind_is_preferred() -> None:
    found = service(kind="anthropic", dialects={"chat": {"baseUrl": "http://127.0.0.1:1/v1"}})
    assert pairs(found)["responses"] == "messages"


@pytest.mark.parametrize(("kind", "path"), [("openai", "chat/completions"), ("anthropic", "messages")])
def test_googles_methods_are_served_by_translation(kind: str, path: str) -> None:
    found = service(kind=kind, dialects={"responses": {"enabled": False}} if kind == "openai" else {})
    translated = {name for name, target in pairs(found).items() if target == path}
    assert {"generateContent", "streamGenerateContent"} <= translated


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"embedContent": "embeddings", "batchEmbedContents": "embeddings"}),
        ({"kind": "gemini"}, {"embeddings": "batchEmbedContents"}),
        ({"kind": "anthropic"}, {}),
        ({"kind": "gemini", "dialects": {"chat": {"baseUrl": "http://127.0.0.1:2/v1"}}}, {}),
    ],
)
def test_embeddings_are_translated_where_the_provider_has_them_in_another_dialect(
    settings: dict[str, Any], expected: dict[str, str]
) -> None:
    translated = pairs(service(**settings)).items()
    assert {path: target for path, target in translated if "mbed" in path} == expected
    assert not {target for path, target in translated if "mbed" not in path} & {"embeddings", "batchEmbedContents"}


def test_an_endpoint_that_the_model_does_not_serve_is_translated_to_one_that_it_does() -> None:
    found = service(frozenset({"chat/completions"}), dialects={"messages": {}})
    assert pairs(found)["messages"] == "chat/completions"


def test_calls_for_text_are_never_translated_for_a_model_without_any_text_endpoint() -> None:
    assert pairs(service(frozenset({"embeddings"}))).keys() == {"embedContent", "batchEmbedContents"}
    assert service(frozenset({"moderations"})).translated == {}


def test_translation_can_be_switched_off() -> None:
    found = service(translates=False)
    assert found.translated == {}
    assert "messages" not in found.sites


def test_legacy_completions_are_not_translated() -> None:
    assert {"completions", "embeddings"}.isdisjoint(service(kind="anthropic").sites)


COUNTS = ("messages/count_tokens", "countTokens", "responses/input_tokens")


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"kind": "anthropic"}, "messages/count_tokens"),
        ({"kind": "gemini"}, "countTokens"),
        ({"baseUrl": "https://api.openai.com/v1"}, "responses/input_tokens"),
        ({"baseUrl": "https://eu.api.openai.com/v1"}, "responses/input_tokens"),
    ],
)
def test_tokens_are_counted_in_the_providers_own_dialect(settings: dict[str, Any], count: str) -> None:
    found = pairs(service(**settings))
    assert {path: target for path, target in found.items() if path in COUNTS} == dict.fromkeys(
        set(COUNTS) - {count}, count
    )


@pytest.mark.parametrize(
    ("settings", "native"),
    [
        ({}, {"responses/input_tokens"}),  # the client may know that its server counts
        ({"baseUrl": "https://up.openai.azure.com/openai/v1"}, {"responses/input_tokens"}),
        ({"dialects": {"responses": {"enabled": False}}}, set()),
        ({"dialects": {"messages": {}}}, {"responses/input_tokens", "messages/count_tokens"}),
        (
            {"kind": "bedrock", "baseUrl": "https://bedrock-mantle.us-east-1.api.aws/openai/v1"},
            {"responses/input_tokens", "messages/count_tokens"},
        ),
    ],
)
def test_no_count_is_translated_for_a_provider_that_may_have_none(settings: dict[str, Any], native: set[str]) -> None:
    found = service(**settings)
    assert not {*COUNTS} & pairs(found).keys()
    assert {*COUNTS} & found.sites.keys() == native


def test_a_model_that_serves_no_text_counts_no_tokens() -> None:
    assert service(frozenset({"embedContent"}), kind="gemini").translated == {}


def test_the_responses_api_comes_first_for_models_that_think_beside_tools_only_there() -> None:
    known = build([], {"p": {"baseUrl": "http://127.0.0.1:1/v1"}})
    site = known.providers["p"].sites[0]
    assert pairs(service_of(site))["messages"] == "chat/completions"
    assert pairs(service_of(site, responses_first=True))["messages"] == "responses"
    only_chat = frozenset({"chat/completions"})
    assert pairs(service_of(site, served=only_chat, responses_first=True))["messages"] == "chat/completions"


GOOGLE = {"kind": "vertex", "baseUrl": "http://127.0.0.1:1/v1/projects/p/locations/global", "apiKey": "k"}


def of_model(model: str) -> Service:
    """At Vertex AI, which has a dialect for each maker of models."""
    (deployment,) = build([{"name": "m", "provider": "p", "model": model}], {"p": GOOGLE}).deployments
    return Service(deployment.sites, deployment.dialects, deployment.translated, deployment.auto_paths)


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "publishers/google/models/gemini-2.5-pro", "endpoints/123"])
def test_googles_own_models_on_vertex_have_no_messages(model: str) -> None:
    found = of_model(model)
    assert pairs(found).items() >= {("chat/completions", "generateContent"), ("messages", "generateContent")}
    assert "streamGenerateContent" in found.sites
    assert pairs(found)["messages/count_tokens"] == "countTokens"


@pytest.mark.parametrize("model", ["claude-opus-4-8", "publishers/anthropic/models/x", "claude-opus-4-5@20251101"])
def test_claude_on_vertex_has_messages_only(model: str) -> None:
    found = of_model(model)
    assert pairs(found)["chat/completions"] == pairs(found)["generateContent"] == "messages"
    assert "messages/count_tokens" in found.sites


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-embedding-001", "batchEmbedContents"),
        ("publishers/google/models/gemini-embedding-2", "batchEmbedContents"),
        ("text-embedding-005", "predict"),
        ("endpoints/123", "predict"),
    ],
)
def test_models_on_vertex_embed_by_their_own_methods(model: str, path: str) -> None:
    found = of_model(model)
    target = found.translated["embeddings"]
    assert target.path == path
    assert target.dialect in (table.VERTEX_BATCH_EMBED, table.VERTEX_PREDICT)
    assert found.sites[path] is found.sites["embeddings"]
    googles = {"embedContent", "batchEmbedContents"}
    assert googles <= found.sites.keys()
    assert (googles & found.translated.keys() == googles) is (path == "predict")


def test_a_model_on_vertex_for_text_only_embeds_nothing() -> None:
    models = [{"name": name, "provider": "p", "type": "chat"} for name in ("endpoints/1", "gemini-9")]
    for deployment in build(models, {"p": GOOGLE}).deployments:
        assert not any(deployment.serves(path) for path in ("embeddings", "embedContent", "batchEmbedContents"))


def test_claude_embeds_nothing() -> None:
    assert "embeddings" not in of_model("claude-opus-4-8").sites


def test_a_dialect_that_a_provider_has_at_another_address_is_for_all_its_models() -> None:
    chat = {"chat": {"baseUrl": "http://127.0.0.1:2/v1"}}
    known = build([{"name": "claude-x", "provider": "p"}], {"p": GOOGLE | {"dialects": chat}})
    assert "chat/completions" not in known.deployments[0].translated


def test_gemini_serves_the_other_dialects_by_translation() -> None:
    found = service(kind="gemini")
    assert pairs(found).items() >= {("chat/completions", "generateContent"), ("responses", "generateContent")}
    assert found.dialects["messages"] is table.GEMINI
