"""Calls and results that are matched by id, or by name and order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.translation.conversation import ContentSource, Document, Image, Text, ToolCall, ToolResult
from proxy.dialects.translation.repairs import repair
from tests.support.gemini_requests import call, decoded, dropped, messages, model, refused, result, user

IMAGE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def ids(*contents: Any) -> list[str]:
    """The ids of all calls and results, in their order."""
    found = []
    for message in messages(*contents):
        for part in message.content:
            found += [part.id] if isinstance(part, ToolCall) else []
            found += [part.call_id] if isinstance(part, ToolResult) else []
    return found


def output(**response: Any) -> ToolResult:
    (message,) = messages(user(result("f", "1", **response)))
    (found,) = message.content
    assert isinstance(found, ToolResult)
    return found


def test_ids_of_the_client_stay() -> None:
    assert ids(model(call("f", "a b"), call("f", "c")), user(result("f", "c"), result("f", "a b"))) == [
        *("a b", "c", "c", "a b"),
    ]


def test_calls_without_ids_get_one_by_name_and_order() -> None:
    turns = [model(call("f"), call("g"), call("f")), user(result("g"), result("f"), result("f"))]
    assert ids(*turns) == ["call_1_f", "call_2_g", "call_3_f", "call_2_g", "call_1_f", "call_3_f"]


def test_made_ids_stay_the_same_in_a_longer_conversation() -> None:
    begin = [user("Hi"), model(call("f")), user(result("f"))]
    assert ids(*begin, model(call("f")), user(result("f"))) == [*ids(*begin), "call_2_f", "call_2_f"]


def test_a_result_is_of_the_last_turn() -> None:
    """The first call was never answered."""
    assert ids(model(call("f")), user("Go on."), model(call("f")), user(result("f"))) == [
        *("call_1_f", "call_2_f", "call_2_f"),
    ]


def test_an_id_that_only_the_result_has_is_that_of_the_call() -> None:
    assert ids(model(call("f")), user(result("f", "late"))) == ["call_1_f", "call_1_f"]


def test_a_result_of_no_call_is_repaired() -> None:
    found = decoded(user(result("f", output="x")))
    assert found.messages[0].content == [ToolResult("call_1_f", [Text("x")])]
    assert repair(found).repaired == ["orphan_tool_result"]


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"output": "sun"}, "sun"),
        ({"result": "sun"}, "sun"),
        ({"output": {"sky": "blue"}}, '{"sky":"blue"}'),
        ({"output": 5}, "5"),
        ({"sky": "blue"}, '{"sky":"blue"}'),
        ({"output": "sun", "sky": "blue"}, '{"output":"sun","sky":"blue"}'),
        ({"output": "sun", "error": None}, "sun"),
    ],
)
def test_the_output_of_a_result_is_its_text(response: dict[str, Any], text: str) -> None:
    assert output(**response) == ToolResult("1", [Text(text)])


def test_an_error_is_told_apart() -> None:
    assert output(error="gone") == ToolResult("1", [Text("gone")], is_error=True)
    assert output(error="gone", output="x").is_error
    assert not output(error="gone", sky="blue").is_error  # a result that has a member of this name
    assert not output(error="").is_error


@pytest.mark.parametrize("response", [{}, {"output": ""}, {"output": None}])
def test_no_output_is_no_text(response: dict[str, Any]) -> None:
    assert output(**response).content == []


def test_images_and_files_of_a_result() -> None:
    file = {"fileData": {"fileUri": "https://a.example/x.pdf", "mimeType": "application/pdf"}}
    part = result("f", "1", output="See.")
    part["functionResponse"]["parts"] = [IMAGE, file]
    (message,) = messages(user(part))
    assert message.content == [
        ToolResult(
            "1",
            [
                Text("See."),
                Image(ContentSource(data="AAAA", media_type="image/png")),
                Document(ContentSource(url="https://a.example/x.pdf", media_type="application/pdf")),
            ],
        )
    ]
    part["functionResponse"]["parts"] = [{"text": "a"}]
    assert refused(user(part)) == "contents[0].parts[0].functionResponse.parts[0].text"


def test_members_for_streamed_calls_are_told() -> None:
    streamed = {"functionCall": {"name": "f", "args": {}, "willContinue": False}}
    waiting = {"functionResponse": {"name": "f", "response": {}, "scheduling": "SILENT"}}
    assert dropped(model(streamed), user(waiting)) == [
        "contents[].parts[].functionCall.willContinue",
        "contents[].parts[].functionResponse.scheduling",
    ]


def test_half_a_call_is_refused() -> None:
    part = {"functionCall": {"name": "f", "partial_args": [{"json_path": "$.a"}]}}
    assert refused(model(part)) == "contents[0].parts[0].functionCall.partialArgs"


@pytest.mark.parametrize(
    ("part", "member"),
    [
        ({"functionCall": {"args": {}}}, "functionCall.name"),
        ({"functionCall": {"name": "f", "args": "x"}}, "functionCall.args"),
        ({"functionCall": []}, "functionCall"),
    ],
)
def test_a_wrong_call_is_refused(part: dict[str, Any], member: str) -> None:
    assert refused(model(part)) == f"contents[0].parts[0].{member}"


@given(st.lists(st.sampled_from("fgh"), min_size=1, max_size=6), st.data())
def test_results_without_ids_belong_to_calls_of_their_name(names: list[str], data: st.DataObject) -> None:
    calls = [call(name, n=number) for number, name in enumerate(names)]
    order = data.draw(st.permutations(range(len(names))))
    # Results of one name are in the order of their calls.
    found = decoded(model(*calls), user(*(result(names[number]) for number in order)))
    made = [part for part in found.messages[0].content if isinstance(part, ToolCall)]
    results = [part for part in found.messages[1].content if isinstance(part, ToolResult)]
    by_id = {each.id: each.name for each in made}
    assert len(by_id) == len(made)
    assert [by_id[each.call_id] for each in results] == [names[number] for number in order]
    assert {each.call_id for each in results} == set(by_id)
    assert repair(found) is found or all(not each.content for each in results)
