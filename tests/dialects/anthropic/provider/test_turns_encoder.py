"""The turns of a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.anthropic.provider.turns_encoder import EncodedTurns, TurnsEncoder
from proxy.dialects.translation.base import EncodingTarget
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import (
    Audio,
    Blob,
    CacheMark,
    Citation,
    ContentSource,
    Conversation,
    ConversationMessage,
    Image,
    Part,
    Reasoning,
    Refused,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable

OWN = Blob("sig", "signature", "0wn")
IMAGE = Image(ContentSource(data="/9j/AA", media_type="image/jpeg"))


def system(*parts: Part | str) -> ConversationMessage:
    return ConversationMessage("system", _parts(parts))


def user(*parts: Part | str) -> ConversationMessage:
    return ConversationMessage("user", _parts(parts))


def assistant(*parts: Part | str) -> ConversationMessage:
    return ConversationMessage("assistant", _parts(parts))


def results(*pairs: tuple[str, str]) -> ConversationMessage:
    return ConversationMessage("tool", [ToolResult(call_id, [Text(text)]) for call_id, text in pairs])


def _parts(parts: tuple[Part | str, ...]) -> list[Part]:
    return [Text(part) if isinstance(part, str) else part for part in parts]


def turns(*messages: ConversationMessage, **facts: Any) -> tuple[EncodedTurns, tuple[str, ...]]:
    losses = Losses()
    target = EncodingTarget("m", ModelFacts(**facts), "0wn")
    encoder = TurnsEncoder(target, losses, ToolNames(), member_names("openai.chat"))
    return encoder.encode(Conversation("openai.chat", list(messages))), losses.names


def encoded(*messages: ConversationMessage, **facts: Any) -> list[dict[str, Any]]:
    return turns(*messages, **facts)[0].messages()


def lost(*messages: ConversationMessage, **facts: Any) -> tuple[str, ...]:
    return turns(*messages, **facts)[1]


def called(call_id: str, name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


# System text


def test_system_text_at_the_start_stands_apart() -> None:
    found, told = turns(system("a"), system("b"), user("Hi"))
    assert (found.system, found.messages(), told) == ([said("a"), said("b")], [{"role": "user", "content": "Hi"}], ())


def test_late_system_text_stands_behind_the_turn_of_the_user() -> None:
    assert encoded(user("Hi"), system("a"), user("you"), system("b"), assistant("Yes"), system("c"), user("So?")) == [
        {"role": "user", "content": [said("Hi"), said("you")]},
        {"role": "system", "content": [said("a"), said("b")]},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "So?"},
        {"role": "system", "content": "c"},
    ]


def test_late_system_text_that_has_to_move_is_told() -> None:
    assert lost(user("Hi"), system("a"), assistant("Yes"), user("So?"), system("b")) == ()
    assert lost(user("Hi"), assistant("Yes"), system("a"), user("So?")) == ("messages[].role",)
    assert lost(user("Hi"), assistant(ToolCall("a", "f")), system("x"), results(("a", "1"))) == ("messages[].role",)


def test_late_system_text_waits_for_the_results_of_calls() -> None:
    messages = [
        user("Hi"),
        assistant(ToolCall("a", "f")),
        system("x"),
        results(("a", "1")),
        assistant("Yes"),
        user("So?"),
    ]
    assert encoded(*messages)[2:4] == [
        {"role": "user", "content": [result("a", "1")]},
        {"role": "system", "content": "x"},
    ]


def test_late_system_text_is_the_user_s_where_the_model_takes_no_other() -> None:
    messages = [user("Hi"), system("a"), user("you")]
    content = [said("Hi"), said("<system>\na\n</system>"), said("you")]
    assert encoded(*messages, late_system=False) == [{"role": "user", "content": content}]
    assert lost(*messages, late_system=False) == ("messages[].role",)


def test_system_text_between_assistants_is_the_user_s() -> None:
    messages = [user("Hi"), assistant("a"), system("x"), assistant("b"), user("So?")]
    assert encoded(*messages)[1:4] == [
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "<system>\nx\n</system>"},
        {"role": "assistant", "content": "b"},
    ]
    assert lost(*messages) == ("messages[].role",)


def test_system_text_alone_is_what_the_user_says() -> None:
    found, told = turns(system("Say hi."), user(" "))
    assert (found.system, found.messages(), told) == (
        [],
        [{"role": "user", "content": "Say hi."}],
        ("messages[].role",),
    )


# Order


def test_consecutive_messages_of_a_role_are_one() -> None:
    messages = [user("a"), user("b"), assistant("c"), assistant("d"), user("e")]
    assert [message["content"] for message in encoded(*messages)] == [
        [said("a"), said("b")],
        [said("c"), said("d")],
        "e",
    ]


def test_results_come_first_whatever_was_said_between() -> None:
    calls = assistant("Let me see.", ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g"))
    assert encoded(user("Hi"), calls, user("Hurry"), results(("b", "2")), results(("a", "1")))[1:] == [
        {"role": "assistant", "content": [said("Let me see."), called("a", x=1), called("b", "g")]},
        {"role": "user", "content": [result("b", "2"), result("a", "1"), said("Hurry")]},
    ]


def test_calls_are_last_in_their_message() -> None:
    messages = [
        user("Hi"),
        assistant(ToolCall("a", "f"), "Later."),
        assistant(ToolCall("b", "f")),
        results(("a", "1"), ("b", "2")),
    ]
    assert encoded(*messages)[1]["content"] == [said("Later."), called("a"), called("b")]


def test_an_assistant_that_begins_gets_a_turn_of_the_user_before() -> None:
    assert [message["role"] for message in encoded(assistant("Hello"), user("Hi"))] == ["user", "assistant", "user"]


def test_messages_without_content_are_left_out() -> None:
    messages = [
        user(""),
        user("a"),
        assistant(" \n", Reasoning("lost")),
        user("b"),
        assistant(Reasoning("Hm", OWN)),
        user("c"),
    ]
    assert encoded(*messages) == [{"role": "user", "content": [said("a"), said("b"), said("c")]}]
    assert lost(*messages) == ("messages[].reasoning_content", "messages[].reasoning_details")


def test_a_conversation_without_a_word_is_refused() -> None:
    with pytest.raises(Untranslatable, match=r"^'messages' .* It has no text\.$"):
        encoded(user(" "), assistant(""))


def test_a_final_assistant_message_is_refused_unless_the_model_continues_it() -> None:
    messages = [user("Hi"), assistant("The answer is \n")]
    with pytest.raises(Untranslatable, match="does not continue"):
        encoded(*messages)
    assert encoded(*messages, prefill=True)[-1] == {"role": "assistant", "content": "The answer is"}
    assert encoded(*messages, user("So?"))[1] == {"role": "assistant", "content": "The answer is \n"}


# Reasoning


def test_reasoning_of_the_provider_itself_is_sent_back() -> None:
    redacted = Blob("opaque", "redacted", "0wn")
    messages = [user("Hi"), assistant(Reasoning("Hm", OWN), Reasoning(blob=redacted), "Yes"), user("So?")]
    assert encoded(*messages)[1]["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "opaque"},
        said("Yes"),
    ]
    assert lost(*messages) == ()


@pytest.mark.parametrize(
    "blob",
    [Blob("sig"), Blob("sig", "signature", "other"), Blob("x", "redacted", "other"), Blob("x", "encrypted", "0wn")],
)
def test_reasoning_of_others_is_lost(blob: Blob) -> None:
    messages = [user("Hi"), assistant(Reasoning("Hm", blob), Reasoning(blob=blob), "Yes"), user("So?")]
    assert encoded(*messages)[1]["content"] == "Yes"
    assert lost(*messages) == ("messages[].reasoning_details", "messages[].reasoning_content")


def test_reasoning_without_a_signature_is_lost() -> None:
    messages = [user("Hi"), assistant(Reasoning("Hm"), "Yes"), user("So?")]
    assert (encoded(*messages)[1]["content"], lost(*messages)) == ("Yes", ("messages[].reasoning_content",))


def test_a_target_without_an_issuer_takes_no_reasoning() -> None:
    encoder = TurnsEncoder(EncodingTarget("m", ModelFacts()), Losses(), ToolNames(), member_names(""))
    messages = [user("Hi"), assistant(Reasoning("Hm", Blob("sig")), "Yes"), user("So?")]
    assert encoder.encode(Conversation("", messages)).messages()[1]["content"] == "Yes"


def test_a_model_that_does_not_think_gets_no_reasoning() -> None:
    messages = [user("Hi"), assistant(Reasoning(blob=OWN), "Yes"), user("So?")]
    assert lost(*messages, thinking="none") == ("messages[].reasoning_details",)


def test_empty_reasoning_is_no_loss() -> None:
    assert lost(user("Hi"), assistant(Reasoning(), "Yes"), user("So?")) == ()


@pytest.mark.parametrize(
    ("messages", "lacks"),
    [
        ([user("Hi")], False),
        ([user("Hi"), assistant("Yes"), user("So?")], False),
        ([user("Hi"), assistant(ToolCall("a", "f")), results(("a", "1"))], True),
        ([user("Hi"), assistant(Reasoning("Hm", OWN), ToolCall("a", "f")), results(("a", "1"))], False),
        ([user("Hi"), assistant("Yes", ToolCall("a", "f")), results(("a", "1")), user("Now?")], True),
        ([user("Hi"), assistant(ToolCall("a", "f")), results(("a", "1")), assistant("Yes"), user("So?")], False),
        (
            [
                user("Hi"),
                assistant(Reasoning("Hm", OWN), ToolCall("a", "f")),
                results(("a", "1")),
                assistant(ToolCall("b", "f")),
                results(("b", "1")),
            ],
            False,
        ),
        (
            [
                user("Hi"),
                assistant(ToolCall("a", "f")),
                results(("a", "1")),
                assistant(Reasoning("Hm", OWN), ToolCall("b", "f")),
                results(("b", "1")),
            ],
            True,
        ),
    ],
)
def test_a_loop_of_calls_must_begin_with_thinking(messages: list[ConversationMessage], lacks: bool) -> None:
    assert turns(*messages)[0].lacks_thinking is lacks


# Calls


def test_names_and_ids_are_those_that_the_provider_takes() -> None:
    call = ToolCall("functions.f:0", "run", "{}", namespace="shell")
    found = encoded(user("Hi"), assistant(call), results(("functions.f:0", "1")))
    block = found[1]["content"][0]
    assert block["name"] == "shell__run"
    assert block["id"] == found[2]["content"][0]["tool_use_id"] != "functions.f:0"


def test_ids_that_repeat_are_told_apart() -> None:
    again = [assistant(ToolCall("call_0", "f")), results(("call_0", "1"))]
    found = encoded(
        user("Hi"), *again, *again, assistant(ToolCall("", "f"), ToolCall("", "g")), results(("", "1"), ("", "2"))
    )
    ids = [block["id"] for message in found[1::2] for block in message["content"]]
    assert ids[:2] == ["call_0", "call_0_2"]
    assert len(set(ids)) == 4
    assert [block["tool_use_id"] for message in found[2::2] for block in message["content"]] == ids


@pytest.mark.parametrize(
    ("arguments", "sent", "told"),
    [
        ("", {}, ()),
        (" ", {}, ()),
        ("null", {}, ()),
        ('{"a": 1}', {"a": 1}, ()),
        ('{"a":"\\ud83d"}', {"a": "\ud83d"}, ()),
        ("[1]", {"arguments": "[1]"}, ("messages[].tool_calls[].function.arguments",)),
        ('{"a":', {"arguments": '{"a":'}, ("messages[].tool_calls[].function.arguments",)),
    ],
)
def test_arguments_are_an_object(arguments: str, sent: Any, told: tuple[str, ...]) -> None:
    messages = [user("Hi"), assistant(ToolCall("a", "f", arguments)), results(("a", "1"))]
    assert encoded(*messages)[1]["content"] == [called("a") | {"input": sent}]
    assert lost(*messages) == told


def test_the_text_of_a_custom_tool_is_its_one_argument() -> None:
    custom = ToolCall("a", "patch", '"x"\n', kind="custom")
    assert encoded(user("Hi"), assistant(custom), results(("a", "1")))[1]["content"] == [
        called("a", "patch", input='"x"\n')
    ]


def test_the_signature_of_a_call_is_lost() -> None:
    messages = [user("Hi"), assistant(ToolCall("a", "f", blob=Blob("sig"))), results(("a", "1"))]
    assert lost(*messages) == ("messages[].tool_calls[].extra_content",)


# Other parts


def test_a_refusal_is_text_and_sources_are_told() -> None:
    messages = [
        user("Hi"),
        assistant(Text("Yes", citations=(Citation("https://a.example"),)), Refused("No.")),
        user("So?"),
    ]
    assert encoded(*messages)[1]["content"] == [said("Yes"), said("No.")]
    assert lost(*messages) == ("messages[].content[].annotations",)


def test_names_and_phases_are_lost() -> None:
    named = ConversationMessage("user", [Text("Hi")], "Ann")
    phased = ConversationMessage("assistant", [Text("Yes")], phase="final_answer")
    assert lost(named, phased, user("So?")) == ("messages[].name", "messages[].phase")


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (system(IMAGE), "messages[].content[]"),
        (assistant(IMAGE), "messages[].content[]"),
        (user(Audio(ContentSource(data="AA"))), "messages[].content[]"),
        (user(ToolCall("a", "f")), "messages[].content[]"),
    ],
)
def test_what_a_message_cannot_have_is_refused(message: ConversationMessage, path: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        encoded(user("Hi"), message, user("So?"))
    assert caught.value.param == path


def test_the_end_is_marked_behind_the_last_block_that_can_be() -> None:
    found, _ = turns(user("Hi"), assistant(ToolCall("a", "f")), results(("a", "1")))
    found.mark_end(CacheMark())
    assert found.messages()[-1]["content"] == [result("a", "1") | {"cache_control": {"type": "ephemeral"}}]
