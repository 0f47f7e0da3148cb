"""Which requests are cached."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.cache.eligible import check_of
from proxy.config.cache_schema import CacheSettings
from proxy.routing.endpoints import ENDPOINTS

BY_PATH = {endpoint.path: endpoint for endpoint in reversed(ENDPOINTS)}


def why(path: str, body: dict[str, Any], *allow: str, bound: float = 1.0) -> str | None:
    endpoint = BY_PATH[path]
    call = endpoint.dialect.requests.read(json.dumps(body).encode())
    check = check_of(endpoint, call.members.values, CacheSettings(max_temperature=bound), allow)
    return None if check is None else check(call)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("chat/completions", {"model": "m", "messages": []}, None),
        ("chat/completions", {"temperature": 1}, None),
        ("chat/completions", {"temperature": None}, None),
        ("chat/completions", {"temperature": 1.01}, "temperature"),
        ("chat/completions", {"temperature": "hot"}, "temperature"),
        ("chat/completions", {"n": 1}, None),
        ("chat/completions", {"n": 2}, "choices"),
        ("chat/completions", {"tools": []}, None),
        ("chat/completions", {"tools": [{}]}, "tools"),
        ("chat/completions", {"functions": [{}]}, "tools"),
        ("chat/completions", {"web_search_options": {}}, None),
        ("completions", {"prompt": ["a", "b"]}, "choices"),
        ("chat/completions", {"search_parameters": {"mode": "auto"}}, "tools"),
        ("chat/completions", {"enable_search": True}, "tools"),
        ("chat/completions", {"enable_search": False}, None),
        ("chat/completions", {"deferred": True}, "state"),
        ("embeddings", {"input": "a"}, None),
        ("moderations", {"input": "a"}, None),
        ("messages", {"temperature": 0.5}, None),
        ("messages", {"mcp_servers": [{}]}, "tools"),
        ("messages/count_tokens", {}, None),
        ("responses", {"input": "a"}, "stored"),
        ("responses", {"input": "a", "store": True}, "stored"),
        ("responses", {"input": "a", "store": False}, None),
        ("responses", {"store": False, "conversation": "c"}, "state"),
        ("responses", {"store": False, "background": True}, "state"),
        ("responses", {"store": False, "background": False}, None),
        ("responses", {"store": False, "prompt": {"id": "p"}}, "state"),
        ("responses", {"store": False, "prompt": None}, None),
        ("responses", {"store": False, "previous_response_id": "r"}, None),
        ("completions", {"prompt": "a"}, None),
        ("generateContent", {"generationConfig": {"temperature": 1}}, None),
        ("generateContent", {"generationConfig": {"temperature": 1.5}}, "temperature"),
        ("generateContent", {"generation_config": {"temperature": 1.5}}, "temperature"),
        ("generateContent", {"generationConfig": {"candidateCount": 2}}, "choices"),
        ("generateContent", {"generationConfig": []}, "temperature"),
        ("generateContent", {"cachedContent": "cachedContents/1"}, "tools"),
        ("generateContent", {"cached_content": "cachedContents/1"}, "tools"),
        ("images/generations", {"prompt": "a"}, "endpoint"),
        ("audio/speech", {"input": "a"}, "endpoint"),
    ],
)
def test_which_requests_are_not_cached(path: str, body: dict[str, Any], reason: str | None) -> None:
    assert why(path, body) == reason


@pytest.mark.parametrize(
    ("path", "body", "allow"),
    [
        ("chat/completions", {"n": 2}, "choices"),
        ("chat/completions", {"tools": [{}]}, "tools"),
        ("responses", {"input": "a"}, "stored"),
    ],
)
def test_what_can_be_allowed(path: str, body: dict[str, Any], allow: str) -> None:
    assert why(path, body, allow) is None


def test_what_depends_on_state_cannot_be_allowed() -> None:
    assert why("responses", {"conversation": "c"}, "choices", "tools", "stored") == "state"


def test_the_bound_of_the_temperature() -> None:
    assert why("chat/completions", {"temperature": 0.1}, bound=0.0) == "temperature"
    assert why("chat/completions", {"temperature": 0}, bound=0.0) is None
