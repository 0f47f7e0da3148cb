"""What a provider serves: natively, and by translation."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects import table
from proxy.dialects.table import OTHER, RESPONSES
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
    [("chat/completions", RESPONSES), ("completions", RESPONSES), ("responses", RESPONSES), ("embeddings", OTHER)],
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
    assert {"countTokens", "embedContent", "batchEmbedContents"}.isdisjoint(pairs(found))


def test_an_endpoint_that_the_model_does_not_serve_is_translated_to_one_that_it_does() -> None:
    found = service(frozenset({"chat/completions"}), dialects={"messages": {}})
    assert pairs(found)["messages"] == "chat/completions"


def test_a_model_without_any_text_endpoint_is_never_translated_to() -> None:
    assert service(frozenset({"embeddings"})).translated == {}


def test_translation_can_be_switched_off() -> None:
    found = service(translates=False)
    assert found.translated == {}
    assert "messages" not in found.sites


def test_counting_and_legacy_completions_are_not_translated() -> None:
    assert {"messages/count_tokens", "embeddings"}.isdisjoint(service(kind="anthropic").translated)
    assert "completions" not in service(kind="anthropic").sites


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
    return Service(deployment.sites, deployment.dialects, deployment.translated)


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "publishers/google/models/gemini-2.5-pro", "endpoints/123"])
def test_googles_own_models_on_vertex_have_no_messages(model: str) -> None:
    found = of_model(model)
    assert pairs(found).items() >= {("chat/completions", "generateContent"), ("messages", "generateContent")}
    assert "streamGenerateContent" in found.sites
    assert "messages/count_tokens" not in found.sites


@pytest.mark.parametrize("model", ["claude-opus-4-8", "publishers/anthropic/models/x", "claude-opus-4-5@20251101"])
def test_claude_on_vertex_has_messages_only(model: str) -> None:
    found = of_model(model)
    assert pairs(found)["chat/completions"] == pairs(found)["generateContent"] == "messages"
    assert "messages/count_tokens" in found.sites


def test_a_dialect_that_a_provider_has_at_another_address_is_for_all_its_models() -> None:
    chat = {"chat": {"baseUrl": "http://127.0.0.1:2/v1"}}
    known = build([{"name": "claude-x", "provider": "p"}], {"p": GOOGLE | {"dialects": chat}})
    assert "chat/completions" not in known.deployments[0].translated


def test_gemini_serves_the_other_dialects_by_translation() -> None:
    found = service(kind="gemini")
    assert pairs(found).items() >= {("chat/completions", "generateContent"), ("responses", "generateContent")}
    assert found.dialects["messages"] is table.GEMINI
