"""Requests that clients really sent."""

from __future__ import annotations

from pathlib import Path

from tests.support.schemas.real_requests import RealRequest, real_requests
from tests.support.schemas.variants import MARK


def test_each_text_gets_a_mark_of_its_own_and_words_of_the_api_none() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    real = RealRequest("r", "chat", {"messages": [{"role": "user", "content": "Hi"}, {"tool_calls": [call]}], "n": 1})
    found = dict(real.marked())
    assert {path: str(request).count(MARK) for path, request in found.items()} == {
        "messages[].content": 1,
        "messages[].tool_calls[].id": 1,
        "messages[].tool_calls[].function.name": 1,
        "messages[].tool_calls[].function.arguments": 1,
    }
    assert found["messages[].content"]["messages"][0]["content"] == f"Hi{MARK}"
    arguments = found["messages[].tool_calls[].function.arguments"]["messages"][1]["tool_calls"][0]["function"]
    assert arguments["arguments"] == f'{{"a": 1, "{MARK}": 1}}'


def test_the_recorded_requests_of_all_dialects_are_found(shared: Path) -> None:
    assert {each.dialect for each in real_requests()} == {"messages", "chat", "responses", "gemini"}
    assert len(real_requests()) > 60
