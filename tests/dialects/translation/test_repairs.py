from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.translation.conversation import (
    Blob,
    CacheMark,
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
from proxy.dialects.translation.repairs import MISSING, ORPHAN, repair
from proxy.errors import ClientFault


def user(text: str = "Hi") -> ConversationMessage:
    return ConversationMessage("user", [Text(text)])


def model(*parts: Part | str) -> ConversationMessage:
    """A message of the model; a text stands for a call with that id."""
    return ConversationMessage(
        "assistant", [ToolCall(each, "f", "{}") if isinstance(each, str) else each for each in parts]
    )


def results(*ids: str) -> ConversationMessage:
    return ConversationMessage("tool", [ToolResult(each, [Text(f"of {each}")]) for each in ids])


def missing(*ids: str) -> ConversationMessage:
    return ConversationMessage("tool", [ToolResult(each, [Text(MISSING)], is_error=True) for each in ids])


def orphan(call_id: str) -> ConversationMessage:
    return ConversationMessage("user", [Text(ORPHAN), Text(f"of {call_id}")])


def conversation(*messages: ConversationMessage, source: str = "anthropic.messages") -> Conversation:
    return Conversation(source, list(messages))


def repaired(*messages: ConversationMessage) -> tuple[list[ConversationMessage], list[str]]:
    given = conversation(*messages)
    before = msgspec.msgpack.encode(given)
    found = repair(given)
    assert msgspec.msgpack.encode(given) == before  # a decoded call may be used again
    return found.messages, found.repaired


SYSTEM = ConversationMessage("system", [Text("Be brief.")])
IMAGE = Image(ContentSource(data="AAAA", media_type="image/png"))
HEALTHY: list[list[ConversationMessage]] = [
    [],
    [user()],
    [SYSTEM, user(), model(Text("Hello")), user(), SYSTEM],
    [user(), model("a"), results("a"), model("b", "c"), results("c", "b"), model(Text("Done"))],
    [user(), model("a", "b"), results("b"), results("a"), SYSTEM],
    [user(), model(Reasoning("Hm"), Text("I look"), "a"), results("a"), user()],
    [user(), model("a"), results("a"), user(), model("a"), results("a")],  # an id may be used again
    [user(), model(Text("One")), model(Text("Two"))],
    [user(), model(Reasoning(blob=Blob("x")), Refused("No"))],
    [user(), model("a"), ConversationMessage("tool", [ToolResult("a", [])])],
    [user(), model("a"), ConversationMessage("tool", [ToolResult("a", [Text("\n"), IMAGE])])],
]


@pytest.mark.parametrize("messages", HEALTHY)
def test_a_healthy_conversation_is_not_touched(messages: list[ConversationMessage]) -> None:
    given = conversation(*messages)
    assert repair(given) is given
    assert repair(given, refuse=True) is given


# -- calls without a result -----------------------------------------------------------------------


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    assert repaired(user(), model("a"), user()) == (
        [user(), model("a"), missing("a"), user()],
        ["missing_tool_result"],
    )
    assert repaired(model("a"))[0] == [model("a"), missing("a")]


def test_of_parallel_calls_only_those_without_a_result_get_one() -> None:
    found, names = repaired(user(), model("a", "b"), results("b"), user())
    (first, second) = found[2].content
    assert (found[2].role, first, second) == ("tool", missing("a").content[0], results("b").content[0])
    assert names == ["missing_tool_result"]


def test_the_result_is_of_the_same_kind_as_the_call() -> None:
    found, _ = repaired(ConversationMessage("assistant", [ToolCall("a", "patch", "text", kind="custom")]))
    assert found[1].content == [ToolResult("a", [Text(MISSING)], is_error=True, kind="custom")]


# -- results without a call -----------------------------------------------------------------------


def test_a_result_without_a_call_becomes_text_of_a_user() -> None:
    assert repaired(results("a"), user()) == ([orphan("a"), user()], ["orphan_tool_result"])
    assert repaired(user(), model("a"), results("a", "b"))[0] == [user(), model("a"), results("a"), orphan("b")]
    assert repaired(user(), model(Text("x")), results("a", "b"))[0][2:] == [orphan("a"), orphan("b")]


def test_a_second_result_of_one_call_has_no_call() -> None:
    assert repaired(model("a"), results("a", "a"))[0] == [model("a"), results("a"), orphan("a")]


def test_a_result_before_its_call_has_no_call() -> None:
    found, names = repaired(results("a"), model("a"))
    assert found == [orphan("a"), model("a"), missing("a")]
    assert names == ["missing_tool_result", "orphan_tool_result"]


def test_images_and_the_cache_mark_of_such_a_result_are_kept() -> None:
    result = ToolResult("a", [Text("x"), IMAGE], cache=CacheMark("1h"))
    found, _ = repaired(ConversationMessage("tool", [result]))
    assert found[0].content == [Text(ORPHAN), Text("x"), msgspec.structs.replace(IMAGE, cache=CacheMark("1h"))]
    found, _ = repaired(ConversationMessage("tool", [ToolResult("a", [], cache=CacheMark())]))
    assert found[0].content == [Text(ORPHAN, CacheMark())]


# -- order ----------------------------------------------------------------------------------------


def test_results_are_moved_to_their_calls() -> None:
    assert repaired(user(), model("a", "b"), results("b"), user("Wait"), SYSTEM, results("a"), user()) == (
        [
            user(),
            model("a", "b"),
            ConversationMessage("tool", [*results("a", "b").content]),
            user("Wait"),
            SYSTEM,
            user(),
        ],
        ["late_tool_result"],
    )


def test_nothing_of_the_model_stands_between_a_call_and_its_result() -> None:
    assert repaired(user(), model(Text("First")), model("a"), model(Text("Then"), "b"), results("a", "b")) == (
        [user(), model(Text("First")), model("a", Text("Then"), "b"), results("a", "b")],
        [],
    )


def test_a_result_belongs_to_the_last_call_with_its_id() -> None:
    found, _ = repaired(model("a"), user(), model("a"), results("a"))
    assert found == [model("a"), missing("a"), user(), model("a"), results("a")]
    one, two = results("a"), ConversationMessage("tool", [ToolResult("a", [Text("2")])])
    assert repaired(model("a", "a"), one, two)[0][1].content == [*one.content, *two.content]


# -- what is empty --------------------------------------------------------------------------------


def test_empty_texts_and_messages_are_left_out() -> None:
    nothing = ConversationMessage("user", [Text(""), Text(" \n")])
    assert repaired(nothing, user(), model(Text("\n\n"), "a", Reasoning(), Refused("")), results("a"), model()) == (
        [user(), model("a"), results("a")],
        [],
    )


def test_a_result_may_be_empty_but_not_its_texts() -> None:
    given = ConversationMessage("tool", [ToolResult("a", [Text(""), IMAGE, Text(" ")])])
    assert repaired(model("a"), given)[0][1].content == [ToolResult("a", [IMAGE, Text(" ")])]


# -- refusal --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "source", "param", "code", "beginning"),
    [
        ([model("a")], "anthropic.messages", "messages", "missing_tool_result", "The tool call 'a' has no result. "),
        ([results("b")], "openai.responses", "input", "orphan_tool_result",
         "The result of the tool call 'b' has no call before it. "),
    ],
)  # fmt: skip
def test_an_operator_may_want_a_refusal(
    messages: list[ConversationMessage], source: str, param: str, code: str, beginning: str
) -> None:
    with pytest.raises(ClientFault) as caught:
        repair(conversation(*messages, source=source), refuse=True)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)
    assert caught.value.message.startswith(beginning)


def test_a_refusal_does_not_repeat_a_long_id() -> None:
    with pytest.raises(ClientFault) as caught:
        repair(conversation(model("a" * 10_000)), refuse=True)
    assert len(caught.value.message) < 300


def test_what_loses_nothing_is_repaired_even_then() -> None:
    found = repair(conversation(model("a"), user(), results("a"), model(Text(""))), refuse=True)
    assert found.messages == [model("a"), results("a"), user()]


# -- all conversations ----------------------------------------------------------------------------

ids = st.sampled_from(["a", "b", "c"])
parts: st.SearchStrategy[Any] = st.sampled_from([Text("x"), Text(""), Text(" "), Reasoning("Hm"), Reasoning(), IMAGE])
calls = st.builds(lambda each: ToolCall(each, "f", "{}"), ids)
outputs = st.builds(lambda each, text: ToolResult(each, [Text(text)]), ids, st.sampled_from(["", " ", "out"]))
conversations = st.lists(
    st.one_of(
        st.builds(ConversationMessage, st.sampled_from(["user", "system"]), st.lists(parts, max_size=3)),
        st.builds(ConversationMessage, st.just("assistant"), st.lists(parts | calls, max_size=4)),
        st.builds(ConversationMessage, st.just("tool"), st.lists(outputs, max_size=3)),
    ),
    max_size=8,
)


def texts(messages: list[ConversationMessage]) -> list[str]:
    """All that is said, in results as well, but for what is empty and what the gateway adds."""
    found = []
    for message in messages:
        for part in message.content:
            inner = part.content if isinstance(part, ToolResult) else [part]
            found += [each.text for each in inner if isinstance(each, Text | Reasoning) and each.text.strip()]
    return sorted(each for each in found if each not in (MISSING, ORPHAN))


@given(conversations)
def test_whatever_a_client_sends_is_well_formed_afterwards(messages: list[ConversationMessage]) -> None:
    found = repair(Conversation("anthropic.messages", messages))
    waiting: list[str] = []
    for message in found.messages:
        assert message.content
        if message.role == "tool":
            for result in message.content:
                assert isinstance(result, ToolResult)
                waiting.remove(result.call_id)
        else:
            assert waiting == []
            waiting = [part.id for part in message.content if isinstance(part, ToolCall)]
    assert waiting == []
    assert texts(found.messages) == texts(messages)


@given(conversations)
def test_a_repaired_conversation_is_healthy_but_for_ids_that_one_message_has_twice(
    messages: list[ConversationMessage],
) -> None:
    once = repair(Conversation("anthropic.messages", messages))
    twice = repair(once)
    assert twice.messages == once.messages


def test_calls_of_a_long_conversation_are_paired_in_linear_time() -> None:
    """Each result is as far from its call as can be."""
    count = 5000
    messages = [model(str(number)) for number in range(count)]
    for number in range(count):
        messages += [user(), results(str(number))]
    found = repair(conversation(*messages))
    assert len(found.messages) == count + 2
