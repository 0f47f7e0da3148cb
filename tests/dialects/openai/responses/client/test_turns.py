"""The messages that items make."""

from __future__ import annotations

import pytest

from proxy.dialects.openai.responses.client.turns import Turns, call_id, note_caller, note_status
from proxy.dialects.translation.conversation import Blob, Reasoning, Text, ToolCall, ToolResult
from proxy.dialects.translation.loss import Losses
from proxy.errors import Untranslatable


def test_parts_of_an_answer_are_one_message_until_another_role_speaks() -> None:
    turns = Turns()
    turns.answer([Reasoning("Hm.")])
    turns.answer([Text("Hi.")], "")
    turns.call("c", "f", "{}")
    turns.result(ToolResult("c", []))
    turns.result(ToolResult("d", []))
    turns.add("user", [Text("Go.")])
    turns.add("user", [Text("On.")])
    turns.answer([Text("Well.")], "")
    assert [(message.role, len(message.content)) for message in turns.messages] == [
        *(("assistant", 3), ("tool", 2), ("user", 1), ("user", 1), ("assistant", 1))
    ]


def test_a_message_has_the_phase_of_its_text() -> None:
    turns = Turns()
    turns.answer([Reasoning("Hm.")])
    turns.answer([Text("Wait.")], "commentary")
    turns.call("c", "f", "{}")
    turns.answer([Text("Still.")], "commentary")
    turns.answer([Text("Done.")], "final_answer")
    assert [(message.phase, len(message.content)) for message in turns.messages] == [
        ("commentary", 4), ("final_answer", 1)
    ]  # fmt: skip


def test_a_signature_is_of_the_next_call_only() -> None:
    turns = Turns()
    turns.signature = Blob("sig")
    turns.call("c", "f", "{}")
    turns.call("d", "g", "ls", "custom", "n")
    assert turns.messages[0].content == [
        ToolCall("c", "f", "{}", blob=Blob("sig")),
        ToolCall("d", "g", "ls", "custom", "n"),
    ]


def test_a_call_needs_its_id() -> None:
    assert call_id({"call_id": "c"}) == "c"
    for item in ({}, {"call_id": None}, {"call_id": ""}):
        with pytest.raises(Untranslatable):
            call_id(item)


@pytest.mark.parametrize(
    ("caller", "dropped"),
    [
        (None, ()),
        ({"type": "direct"}, ()),
        ({"type": "program", "caller_id": "p"}, ("input[].caller",)),
        ({"type": "direct", "odd": 1}, ("input[].caller.odd",)),
    ],
)
def test_a_caller_is_lost_unless_it_is_the_model(caller: object, dropped: tuple[str, ...]) -> None:
    losses = Losses()
    note_caller({"caller": caller}, losses)
    assert losses.names == dropped


@pytest.mark.parametrize(
    ("status", "dropped"),
    [(None, ()), ("completed", ()), ("failed", ()), ("incomplete", ("input[].status",)), (7, ("input[].status",))],
)
def test_a_status_is_lost_unless_the_item_is_complete(status: object, dropped: tuple[str, ...]) -> None:
    losses = Losses()
    note_status({"status": status}, losses)
    assert losses.names == dropped
