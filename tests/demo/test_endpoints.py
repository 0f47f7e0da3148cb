from __future__ import annotations

import pytest

from proxy.demo.endpoints import ANTHROPIC, ENDPOINTS, GEMINI, METHODS, OPENAI, api_of, find_endpoint, listed_model
from proxy.demo.refusal import DemoRefusal


@pytest.mark.parametrize(
    ("path", "header", "api"),
    [
        ("/v1/chat/completions", "", OPENAI),
        ("/v1/models", "", OPENAI),
        ("/v1/models", "anthropic-version", ANTHROPIC),
        ("/v1/models", "x-goog-api-key", GEMINI),
        ("/v1/messages", "", ANTHROPIC),
        ("/v1/messages/count_tokens", "", ANTHROPIC),
        ("/v1beta/models", "", GEMINI),
        ("/v1alpha/models/demo", "", GEMINI),
        ("/v1/models/demo:generateContent", "", GEMINI),
        ("/nothing", "", OPENAI),
    ],
)
def test_path_and_headers_say_which_api_a_client_speaks(path: str, header: str, api: object) -> None:
    assert api_of(path, {header: "x"}) is api


def test_a_path_has_its_endpoint() -> None:
    for path, endpoint in ENDPOINTS.items():
        found = find_endpoint(path, "")
        assert found is not None
        assert (found.endpoint, found.model) == (endpoint, "")


@pytest.mark.parametrize("base", ["/v1beta", "/v1alpha", "/v1"])
@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_its_endpoint_and_a_model(base: str, method: str) -> None:
    found = find_endpoint(f"{base}/models/demo-429-3:{method}", "alt=sse")
    assert found is not None
    assert (found.endpoint, found.model) == (METHODS[method], "demo-429-3")


@pytest.mark.parametrize("query", ["", "alt=json", "key=alt=sse"])
def test_a_stream_without_events_is_refused(query: str) -> None:
    with pytest.raises(DemoRefusal, match="alt=sse"):
        find_endpoint("/v1beta/models/demo:streamGenerateContent", query)


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1beta/models/demo", "/v1beta/models/demo:predict", "/v2/messages"])
def test_other_paths_have_none(path: str) -> None:
    assert find_endpoint(path, "alt=sse") is None


def test_lists_of_models_have_paths_in_every_api() -> None:
    assert listed_model("/v1/models") == listed_model("/v1beta/models") == ""
    assert listed_model("/v1/models/demo") == listed_model("/v1beta/models/demo") == "demo"
    assert listed_model("/v1/messages") is None
