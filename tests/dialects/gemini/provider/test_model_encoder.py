from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.gemini.provider.model_encoder import NO_SIGNATURE, ModelEncoder, add_missing_signatures
from proxy.dialects.translation.call_ids import CallIds
from proxy.dialects.translation.conversation import (
    Blob,
    CacheMark,
    ContentSource,
    Image,
    Part,
    Reasoning,
    Refused,
    Text,
    ToolCall,
)
from proxy.errors import Untranslatable
from tests.support.conversations import OWN
from tests.support.gemini_encoding import encoding

SIGNED = Blob("s", issuer=OWN)


def parts(*content: Part) -> tuple[list[Any], tuple[str, ...]]:
    found = encoding()
    return ModelEncoder(found, CallIds()).parts(content), found.losses.names


def call(name: str = "f", signature: str = "") -> dict[str, Any]:
    return {"functionCall": {"name": name}} | ({"thoughtSignature": signature} if signature else {})


def test_text_and_refusals_are_text() -> None:
    assert parts(Text("a"), Refused("b"), Text("")) == ([{"text": "a"}, {"text": "b"}], ())


def test_a_call_has_its_id_and_an_object() -> None:
    found, lost = parts(ToolCall("c", "f", '{"a":1}'), ToolCall("d", "g h", ""), ToolCall("e", "x", "text", "custom"))
    (first, second, third) = [each["functionCall"] for each in found]
    assert first == {"id": "c", "name": "f", "args": {"a": 1}}
    assert (second["name"][:3], second["args"]) == ("g_h", {})
    assert third["args"] == {"input": "text"}
    assert lost == ()


def test_arguments_that_are_no_object_are_wrapped_and_told() -> None:
    found, lost = parts(ToolCall("c", "f", "[1]", cache=CacheMark()))
    assert found[0]["functionCall"]["args"] == {"arguments": "[1]"}
    assert set(lost) == {
        "messages[].tool_calls[].function.arguments",
        "messages[].tool_calls[].prompt_cache_breakpoint",
    }


def test_calls_with_the_same_id_get_different_ones() -> None:
    found, _ = parts(ToolCall("c", "f"), ToolCall("c", "f"))
    assert [each["functionCall"]["id"] for each in found] == ["c", "c_2"]


# Signatures


def test_the_provider_s_signature_of_a_call_goes_back() -> None:
    found, lost = parts(ToolCall("c", "f", blob=SIGNED), ToolCall("d", "g"))
    assert found[0]["thoughtSignature"] == "s"
    assert "thoughtSignature" not in found[1]
    assert lost == ()


@pytest.mark.parametrize("blob", [Blob("s"), Blob("s", issuer="0ther"), Blob("s", "encrypted", OWN)])
def test_another_s_signature_of_a_call_is_told(blob: Blob) -> None:
    found, lost = parts(ToolCall("c", "f", blob=blob))
    assert "thoughtSignature" not in found[0]
    assert lost == ("messages[].tool_calls[].extra_content",)


def test_a_signature_after_a_text_belongs_to_it() -> None:
    assert parts(Text("a"), Reasoning(blob=SIGNED))[0] == [{"text": "a", "thoughtSignature": "s"}]


def test_a_signature_before_a_text_belongs_to_it_as_chat_has_it_first() -> None:
    assert parts(Reasoning(blob=SIGNED), Text("a"), Text("b"))[0] == [
        {"text": "a", "thoughtSignature": "s"},
        {"text": "b"},
    ]


def test_a_signature_without_a_text_stands_alone() -> None:
    alone = {"text": "", "thoughtSignature": "s"}
    assert parts(Reasoning(blob=SIGNED))[0] == [alone]
    found, _ = parts(Reasoning(blob=SIGNED), ToolCall("c", "f", blob=Blob("t", issuer=OWN)))
    assert (found[0], found[1]["thoughtSignature"]) == (alone, "t")
    assert parts(Text("a"), Reasoning(blob=SIGNED), Reasoning(blob=Blob("t", issuer=OWN)))[0] == [
        {"text": "a", "thoughtSignature": "s"},
        {"text": "", "thoughtSignature": "t"},
    ]


def test_signed_thoughts_go_back_with_their_signature_at_the_text_after_them() -> None:
    thought = {"text": "Hm", "thought": True}
    assert parts(Reasoning("Hm", SIGNED), Text("a")) == ([thought, {"text": "a", "thoughtSignature": "s"}], ())
    assert parts(Reasoning("Hm", SIGNED)) == ([thought, {"text": "", "thoughtSignature": "s"}], ())
    assert parts(Text("a"), Reasoning("Hm", SIGNED), Text("b"))[0] == [
        *({"text": "a"}, thought),
        {"text": "b", "thoughtSignature": "s"},
    ]


def test_the_reasoning_of_others_is_left_out_and_told() -> None:
    found, lost = parts(
        Reasoning("Hm"), Reasoning(blob=Blob("s", issuer="0ther")), Reasoning(blob=Blob("r", "redacted"))
    )
    assert found == []
    assert lost == ("messages[].reasoning_content", "messages[].reasoning_details")


def test_an_image_is_no_content_of_a_model() -> None:
    with pytest.raises(Untranslatable):
        parts(Image(ContentSource(data="AA==")))


# Missing signatures


def user(**part: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [part]}


def model(*content: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(content)}


RESULT = {"functionResponse": {"name": "f"}}


def test_the_first_call_of_each_step_of_the_turn_gets_the_value() -> None:
    contents = [
        *(user(text="a"), model({"text": "b"}, call(), call("g")), user(**RESULT)),
        *(model(call()), user(**RESULT)),
    ]
    add_missing_signatures(contents)
    assert contents[1] == model({"text": "b"}, call(signature=NO_SIGNATURE), call("g"))
    assert contents[3] == model(call(signature=NO_SIGNATURE))


def test_a_signature_that_is_there_stays() -> None:
    contents = [user(text="a"), model(call(signature="s"), call("g")), user(**RESULT), model(call("h", "t"))]
    add_missing_signatures(contents)
    assert contents[1] == model(call(signature="s"), call("g"))
    assert contents[3] == model(call("h", "t"))


def test_earlier_turns_are_not_checked() -> None:
    contents = [user(text="a"), model(call()), user(**RESULT), model({"text": "b"}), user(text="c")]
    add_missing_signatures(contents)
    assert contents[1] == model(call())


def test_text_beside_results_begins_no_turn() -> None:
    contents = [user(text="a"), model(call()), {"role": "user", "parts": [RESULT, {"text": "b"}]}]
    add_missing_signatures(contents)
    assert contents[1] == model(call(signature=NO_SIGNATURE))
