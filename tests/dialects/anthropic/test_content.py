from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.anthropic.content import of_list
from proxy.dialects.json_estimate import Content, Unknown

DATA = "QUJD" * 2000
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}


def counted(*items: Any) -> tuple[int, int]:
    found: Content = of_list(json.dumps(items).encode())
    assert (found.tokens, found.audio) == (0, 0)
    return found.text, found.images


def message(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "text", "text": "1234", "cache_control": {"type": "ephemeral"}}, (4, 0)),
        ({"type": "text", "text": "wörld", "citations": [{"cited_text": "not counted"}]}, (6, 0)),
        ({"type": "thinking", "thinking": "12", "signature": DATA}, (2, 0)),
        ({"type": "redacted_thinking", "data": DATA}, (0, 0)),
        ({"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {"a": 1}}, (10, 0)),
        ({"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {}}, (4, 0)),
        ({"type": "server_tool_use", "id": "s", "name": "ls", "input": {}}, (4, 0)),
        ({"type": "tool_result", "tool_use_id": "t", "content": "12345"}, (5, 0)),
        ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "12"}, IMAGE]}, (2, 1)),
        ({"type": "tool_result", "tool_use_id": "t"}, (0, 0)),
        (IMAGE, (0, 1)),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, (0, 1)),
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, (0, 1)),
        ({"type": "document", "title": "12", "context": None, "source": IMAGE["source"]}, (2, 1)),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "1234"}}, (4, 0)),
        ({"type": "document", "source": {"type": "content", "content": "1234"}}, (4, 0)),
        ({"type": "document", "source": {"type": "content", "content": [IMAGE]}}, (0, 1)),
        ({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}, (0, 1)),
        ({"type": "search_result", "source": "https://example.com", "title": "12", "content": [{"type": "text", "text": "34"}]}, (4, 0)),
        ({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result", "title": "12", "url": "u", "encrypted_content": DATA}]}, (2, 0)),
        ({"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "web_search_tool_result_error", "error_code": "x"}}, (0, 0)),
        ({"type": "bash_code_execution_tool_result", "content": {"type": "bash_code_execution_result", "stdout": "12", "stderr": "3", "return_code": 0, "content": []}}, (3, 0)),
        ({"type": "container_upload", "file_id": "file_1"}, (0, 0)),
    ],
)  # fmt: skip
def test_each_kind_of_block_is_counted(block: dict[str, Any], expected: tuple[int, int]) -> None:
    assert counted(message(block)) == expected
    assert counted(block) == expected


def test_messages_of_text_are_counted() -> None:
    assert counted({"role": "user", "content": "12"}, {"role": "system", "content": "345"}, "6") == (6, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b'[{"type":"something_new","payload":"x"}]',
        b'[{"type":"text","text":5}]',
        b"[5]",
        b'[{"role":"user","content":[{"type":"new"}]}]',
        b'[{"content":' * 5000,
        b'[{"type":"text","text":"\\ud83c"}]',
    ],
)
def test_what_is_not_known_is_not_guessed(raw: bytes) -> None:
    with pytest.raises(Unknown):
        of_list(raw)
