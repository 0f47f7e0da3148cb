from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.thinking_encoder import encode_thinking
from proxy.dialects.translation.conversation import ThinkingSettings
from proxy.dialects.translation.model_facts import ModelFacts
from tests.support.chat_encoding import encoding

ANY = ModelFacts()
SOME = ModelFacts(efforts=("none", "medium", "high"))
ALWAYS = ModelFacts(efforts=("low", "high"))
NEVER = ModelFacts(efforts=())
TOGGLE = ModelFacts(efforts=(), toggle="thinking")
SWITCH = ModelFacts(efforts=("low", "high"), toggle="enable_thinking")

EFFORT, MODE, BUDGET = "output_config.effort", "thinking.type", "thinking.budget_tokens"


def encoded(facts: ModelFacts, *, tools: bool = False, **settings: Any) -> tuple[Any, tuple[str, ...]]:
    """The members, and what is told."""
    context = encoding(facts)
    return encode_thinking(ThinkingSettings(**settings), context, with_tools=tools), context.losses.names


@pytest.mark.parametrize(
    ("facts", "settings", "sent", "dropped"),
    [
        (ANY, {}, {}, ()),
        (ANY, {"effort": "high"}, {"reasoning_effort": "high"}, ()),
        (ANY, {"mode": "adaptive", "effort": "xhigh"}, {"reasoning_effort": "xhigh"}, ()),
        (ANY, {"mode": "on", "budget": 16_000}, {"reasoning_effort": "high"}, ()),
        (ANY, {"mode": "on", "budget": 16_000, "effort": "low"}, {"reasoning_effort": "low"}, ()),
        (ANY, {"mode": "off"}, {"reasoning_effort": "none"}, ()),
        (ANY, {"mode": "off", "effort": "high"}, {"reasoning_effort": "none"}, (EFFORT,)),
        (SOME, {"mode": "adaptive"}, {}, ()),
        (SOME, {"effort": "xhigh"}, {"reasoning_effort": "high"}, (EFFORT,)),
        (SOME, {"effort": "low"}, {"reasoning_effort": "medium"}, (EFFORT,)),
        (SOME, {"effort": "none"}, {"reasoning_effort": "none"}, ()),
        (SOME, {"mode": "on", "budget": 60_000}, {"reasoning_effort": "high"}, ()),
        (ALWAYS, {"mode": "off"}, {}, (MODE,)),
        (ALWAYS, {"effort": "none"}, {}, (EFFORT,)),
        (NEVER, {"effort": "high"}, {}, (EFFORT,)),
        (NEVER, {"mode": "adaptive", "effort": "high"}, {}, (EFFORT, MODE)),
        (NEVER, {"mode": "on", "budget": 2000}, {}, (BUDGET, MODE)),
        (NEVER, {"mode": "off"}, {}, (MODE,)),
        (TOGGLE, {"mode": "off"}, {"thinking": {"type": "disabled"}}, ()),
        (TOGGLE, {"mode": "on", "budget": 2000}, {"thinking": {"type": "enabled"}}, (BUDGET,)),
        (TOGGLE, {"effort": "none"}, {"thinking": {"type": "disabled"}}, ()),
        (SWITCH, {"mode": "off"}, {"enable_thinking": False}, ()),
        (SWITCH, {"mode": "adaptive", "effort": "low"}, {"enable_thinking": True, "reasoning_effort": "low"}, ()),
    ],
)
def test_settings_have_their_counterpart_or_are_told(
    facts: ModelFacts, settings: dict[str, Any], sent: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    assert encoded(facts, **settings) == (sent, dropped)


@pytest.mark.parametrize(
    ("settings", "dropped"),
    [({}, ()), ({"effort": "high"}, (EFFORT,)), ({"mode": "on", "budget": 2000}, (MODE,)), ({"mode": "off"}, ()),
     ({"effort": "none"}, ()), ({"mode": "adaptive"}, (MODE,))],
)  # fmt: skip
def test_a_model_that_does_not_reason_beside_tools_is_told_so(
    settings: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    facts = ModelFacts(efforts=("none", "high"), effort_with_tools="none")
    assert encoded(facts, tools=True, **settings) == ({"reasoning_effort": "none"}, dropped)


def test_such_a_model_reasons_without_tools() -> None:
    facts = ModelFacts(efforts=("none", "high"), effort_with_tools="none")
    assert encoded(facts, effort="high") == ({"reasoning_effort": "high"}, ())
