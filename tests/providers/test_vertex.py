from __future__ import annotations

import pytest
from google.genai._transformers import t_is_vertex_embed_content_model

from proxy.config.provider_schema import CloudSettings, ProviderSettings
from proxy.dialects.call import Call
from proxy.dialects.table import GEMINI_COUNT, MESSAGES
from proxy.errors import ConfigError
from proxy.providers.base import CallChanges
from proxy.providers.credential_source import CredentialSource
from proxy.providers.vertex import Vertex
from proxy.routing.service import service_of
from tests.providers.compiled import key_of, provider

BASE = "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4"
PREFIX = "/v1/projects/p/locations/europe-west4/publishers"


def target(path: str, model: str | None = "m", base: str = BASE, query: str = "") -> str:
    compiled = provider(base)
    assert isinstance(compiled.kind, Vertex)
    return compiled.sites[0].target(path, model, query)


@pytest.mark.parametrize(
    ("path", "model", "found"),
    [
        ("generateContent", "gemini-3-pro", "google/models/gemini-3-pro:generateContent"),
        ("streamGenerateContent", "gemini-3-pro", "google/models/gemini-3-pro:streamGenerateContent?alt=sse"),
        ("countTokens", "publishers/meta/models/llama", "meta/models/llama:countTokens"),
        ("messages", "claude-sonnet-4-5@20250929", "anthropic/models/claude-sonnet-4-5@20250929:rawPredict"),
        ("messages/count_tokens", "claude", "anthropic/models/count-tokens:rawPredict"),
        ("generateContent", "a/b:c?d", "google/models/a%2Fb%3Ac%3Fd:generateContent"),
    ],
)
def test_the_path_names_publisher_model_and_method(path: str, model: str, found: str) -> None:
    assert target(path, model) == f"{PREFIX}/{found}"


def test_a_tuned_model_is_an_endpoint_of_the_project() -> None:
    assert target("generateContent", "endpoints/123") == (
        "/v1/projects/p/locations/europe-west4/endpoints/123:generateContent"
    )


@pytest.mark.parametrize(
    ("base", "found"),
    [
        (BASE, "/v1beta1/publishers/google/models"),
        ("https://aiplatform.googleapis.com/v1", "/v1beta1/publishers/google/models"),
        ("https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu", "/v1beta1/publishers/google/models"),
    ],
)
def test_the_list_of_models_belongs_to_no_project(base: str, found: str) -> None:
    assert target("models", None, base) == found


def test_the_list_of_models_is_below_the_path_of_a_front() -> None:
    compiled = provider("https://front.example/vertex/v1beta1/projects/p/locations/eu", kind="vertex")
    assert compiled.sites[0].target("models") == "/vertex/v1beta1/publishers/google/models"


def test_parameters_that_google_refuses_are_dropped() -> None:
    assert target("messages", query="beta=true&x=1&alt=json").endswith(":rawPredict?x=1")


def call(body: bytes) -> Call:
    return MESSAGES.requests.read(body)


def test_the_body_of_messages_has_a_version_and_no_model() -> None:
    kind = Vertex()
    plain, stream = call(b'{"model":"m","max_tokens":1}'), call(b'{"model":"m","max_tokens":1,"stream":true}')
    old = {"anthropic_version": b'"vertex-2023-10-16"', "model": None}
    assert kind.call_changes("messages", plain, "") == CallChanges(old)
    assert kind.call_changes("messages", plain, "2023-06-01") == CallChanges(old)
    new = {"anthropic_version": b'"2026-10-21"', "model": None}
    assert kind.call_changes("messages", stream, "2026-10-21") == CallChanges(new, "streamRawPredict")


def test_tokens_are_counted_with_the_model() -> None:
    found = Vertex().call_changes("messages/count_tokens", call(b'{"model":"m"}'), "")
    assert found == CallChanges({"anthropic_version": b'"vertex-2023-10-16"'})


def test_a_version_in_the_body_stays() -> None:
    found = Vertex().call_changes("messages", call(b'{"model":"m","anthropic_version":"x"}'), "2026-10-21")
    assert found == CallChanges({"model": None})


def test_requests_of_gemini_stay_as_they_are() -> None:
    assert Vertex().call_changes("generateContent", call(b"{}"), "") is None


def test_no_request_goes_to_it_without_a_models_name() -> None:
    assert service_of(provider(BASE).sites[0], names_model=False).sites.keys() == {"*"}


def settings(base_url: str = BASE, **more: object) -> ProviderSettings:
    return ProviderSettings(base_url=base_url, **more)  # type: ignore[arg-type]


def test_without_a_key_an_access_token_is_fetched() -> None:
    cloud = CloudSettings(credentials_file="sa.json")
    compiled = provider(BASE, api_key=settings().api_key, cloud=cloud)
    assert key_of(compiled).source == CredentialSource("google", cloud)
    assert key_of(provider(BASE)).source is None


def test_a_token_needs_a_project_in_the_address() -> None:
    with pytest.raises(ConfigError) as caught:
        provider("https://aiplatform.googleapis.com/v1", api_key=settings().api_key)
    assert caught.value.mistakes == ["providers.p.baseUrl: must end with /v1/projects/PROJECT/locations/LOCATION"]


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("gemini-embedding-001", "vertex"),
        ("publishers/google/models/gemini-embedding-2", "vertex"),
        ("publishers/intfloat/models/multilingual-e5-large-instruct-maas", "vertex"),
        ("text-embedding-005", "predict"),
        ("publishers/gemini/models/other", "predict"),
        ("endpoints/123", "predict"),
    ],
)
def test_a_model_embeds_by_the_method_that_googles_sdk_uses(model: str, method: str) -> None:
    assert Vertex().embeds_by(model) == method
    assert t_is_vertex_embed_content_model(model) is (method == "vertex")


@pytest.mark.parametrize("name", ["generateContentRequest", "generate_content_request"])
def test_the_request_to_count_stands_in_the_body_itself(name: str) -> None:
    request = b'{"model":"models/m","contents":[1],"system_instruction":{},"toolConfig":{}}'
    call = GEMINI_COUNT.requests.read(b'{"%b":%b}' % (name.encode(), request))
    expected = {name: None, "contents": b"[1]", "system_instruction": b"{}"}
    assert Vertex().call_changes("countTokens", call, "") == CallChanges(expected)


def test_a_count_that_is_not_nested_is_left_alone() -> None:
    call = GEMINI_COUNT.requests.read(b'{"contents":[1]}')
    assert Vertex().call_changes("countTokens", call, "") is None
