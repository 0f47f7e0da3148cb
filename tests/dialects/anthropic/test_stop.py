"""Why a message ended."""

from __future__ import annotations

from typing import get_args

import pytest
from anthropic.types.beta import BetaStopReason

from proxy.dialects.anthropic import stop
from proxy.dialects.translation.parts import Finish, FinishReason


@pytest.mark.parametrize("reason", get_args(FinishReason))
@pytest.mark.parametrize("called", [False, True])
def test_every_reason_is_one_that_clients_know(reason: FinishReason, called: bool) -> None:
    found = stop.members_of(Finish(reason), called=called, refused=False)
    assert found["stop_reason"] in get_args(BetaStopReason)
    assert (found["stop_details"] is not None) == (found["stop_reason"] == "refusal")


@pytest.mark.parametrize(
    ("finish", "called", "refused", "reason"),
    [
        (None, False, False, "end_turn"),
        (None, True, False, "tool_use"),
        (Finish("stop"), True, True, "tool_use"),
        (Finish("stop"), False, True, "refusal"),
        (Finish("tool_calls"), False, False, "end_turn"),
        (Finish("length"), True, False, "max_tokens"),
        (Finish("pause"), False, False, "pause_turn"),
        (Finish("context"), False, False, "model_context_window_exceeded"),
    ],
)
def test_the_content_decides_where_the_provider_says_little(
    finish: Finish | None, called: bool, refused: bool, reason: str
) -> None:
    assert stop.members_of(finish, called=called, refused=refused)["stop_reason"] == reason


def test_a_stop_sequence_is_named() -> None:
    found = stop.members_of(Finish("stop_sequence", "###"), called=False, refused=False)
    assert found == {"stop_reason": "stop_sequence", "stop_sequence": "###", "stop_details": None}
