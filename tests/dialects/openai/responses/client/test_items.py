"""Items of the output as they are when complete."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.openai.responses.client.items import ResponseItems, annotations_of
from proxy.dialects.translation import blobs
from proxy.dialects.translation.conversation import Blob, Citation, Reasoning
from tests.support.responses import context, decoded

SIGNATURE = Blob("sig")


def items(**members: Any) -> ResponseItems:
    return ResponseItems(context(decoded(input="Hi", **members), issuer="iss"))


def test_ids_name_the_response_and_the_place() -> None:
    assert items().message(3, [])["id"] == "msg_abc_3"


def test_thoughts_are_sealed_as_codex_does_not_send_them_back() -> None:
    item = items().reasoning(0, "Hm.", False, SIGNATURE)
    assert (item["summary"], item["content"]) == ([], [{"type": "reasoning_text", "text": "Hm."}])
    assert blobs.unpack(item["encrypted_content"]) == Reasoning("Hm.", Blob("sig", issuer="iss"))


@pytest.mark.parametrize(("summary", "asked"), [(True, False), (True, True), (False, True)])
def test_a_summary_is_what_the_provider_calls_so_or_the_client_asks_for(summary: bool, asked: bool) -> None:
    made = items(reasoning={"summary": "auto"} if asked else None)
    item = made.reasoning(0, "Hm.", summary, SIGNATURE)
    assert item["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert "content" not in item
    assert blobs.unpack(item["encrypted_content"]) == Reasoning("", Blob("sig", issuer="iss"))


def test_thoughts_without_a_signature_are_marked_as_translated() -> None:
    assert items().reasoning(0, "Hm.", True, None)["encrypted_content"].startswith(blobs.PREFIX)


def test_a_call_has_its_namespace_and_no_arguments_are_an_object() -> None:
    call = items().call(1, "c", "f", "function", "n", "")
    assert call == {
        "id": "fc_abc_1", "type": "function_call", "status": "completed", "call_id": "c", "name": "f",
        "arguments": "{}", "namespace": "n",
    }  # fmt: skip
    custom = items().call(1, "c", "exec", "custom", "", "")
    assert (custom["id"], custom["input"], "namespace" in custom) == ("ctc_abc_1", "", False)


def test_a_tool_of_openai_s_is_known_by_the_request() -> None:
    made = items(tools=[{"type": "shell"}, {"type": "function", "name": "local_shell", "parameters": {}}])
    tool = made.built_in("shell", "")
    assert tool is not None
    assert made.built_in("local_shell", "") is None  # a function that only has the name
    assert made.built_in("shell", "n") is None
    assert made.built_in_call(0, "c", tool, '{"commands":["ls"]}')["action"]["commands"] == ["ls"]
    assert made.built_in_call(0, "c", tool, "ls") == made.call(0, "c", "shell", "function", "", "ls")


def test_annotations_stand_where_their_citations_say_or_span_the_block() -> None:
    found = annotations_of(
        [Citation("u", "t"), Citation("u", "t", start=1, end=2), Citation(title="n", file_id="f")], 10, 20
    )
    url = {"type": "url_citation", "url": "u", "title": "t"}
    assert found == [
        url | {"start_index": 10, "end_index": 20},
        url | {"start_index": 11, "end_index": 12},
        {"type": "file_citation", "file_id": "f", "filename": "n", "index": 20},
    ]
