from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.chat.provider.message_order import in_order
from proxy.dialects.translation.conversation import ConversationMessage, Text, ToolCall, ToolResult
from tests.support.chat_encoding import message


def called(*ids: str) -> ConversationMessage:
    return message("assistant", *(ToolCall(each, "f") for each in ids))


def results(*ids: str) -> ConversationMessage:
    return message("tool", *(ToolResult(each, []) for each in ids))


def outline(*messages: ConversationMessage) -> list[str]:
    """One word for each message."""
    found = []
    for each in in_order(messages):
        ids = [part.id if isinstance(part, ToolCall) else getattr(part, "call_id", "") for part in each.content]
        found.append(f"{each.role}:{','.join(filter(None, ids))}".rstrip(":"))
    return found


def test_messages_in_order_stay_so() -> None:
    messages = [message("user", "Hi"), called("a", "b"), results("a", "b"), message("assistant", "Yes.")]
    assert in_order(messages) == messages


def test_results_are_in_the_order_of_the_calls() -> None:
    assert outline(called("a", "b"), results("b"), results("a")) == ["assistant:a,b", "tool:a,b"]


def test_calls_in_messages_of_their_own_are_parallel() -> None:
    assert outline(called("a"), called("b"), results("a", "b")) == ["assistant:a,b", "tool:a,b"]


def test_what_stands_between_a_call_and_its_result_moves_behind_it() -> None:
    found = outline(called("a"), message("system", "x"), message("user", "y"), results("a"))
    assert found == ["assistant:a", "tool:a", "system", "user"]


def test_a_late_result_moves_to_its_call() -> None:
    found = outline(called("a", "b"), results("a"), message("assistant", "x"), results("b"))
    assert found == ["assistant:a,b", "tool:a,b", "assistant"]


def test_the_same_id_in_two_turns_is_two_calls() -> None:
    found = in_order([called("a"), results("a"), called("a"), message("tool", ToolResult("a", [Text("2")]))])
    assert [each.role for each in found] == ["assistant", "tool", "assistant", "tool"]
    assert found[3].content == [ToolResult("a", [Text("2")])]


def test_the_same_id_twice_in_a_turn_is_two_calls() -> None:
    assert outline(called("a", "a"), results("a", "a")) == ["assistant:a,a", "tool:a,a"]


def test_a_result_without_a_call_stays_where_it_is() -> None:
    assert outline(results("a"), called("a"), message("user", "x")) == ["tool:a", "assistant:a", "user"]


def test_two_texts_of_the_assistant_are_divided() -> None:
    [found] = in_order([message("assistant", "a"), message("assistant", "b")])
    assert found.content == [Text("a"), Text("\n\n"), Text("b")]


def test_the_conversation_itself_is_not_changed() -> None:
    messages = [called("a"), called("b"), message("user", "x"), results("b", "a")]
    before = [ConversationMessage(each.role, list(each.content)) for each in messages]
    in_order(messages)
    assert messages == before


TURNS = st.one_of(
    st.lists(st.sampled_from("abc"), max_size=3).map(lambda ids: called(*ids)),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(lambda ids: results(*ids)),
    st.sampled_from([message("user", "x"), message("system", "y"), message("assistant", "z")]),
)


@given(st.lists(TURNS, max_size=10))
def test_no_part_is_lost_or_doubled(messages: list[ConversationMessage]) -> None:
    def parts(turns: list[ConversationMessage]) -> list[int]:
        return sorted(id(part) for turn in turns for part in turn.content if part != Text("\n\n"))

    assert parts(in_order(messages)) == parts(messages)
