from __future__ import annotations

import json

import pytest

from proxy.dialects.anthropic.call import COUNTS, REQUESTS
from tests.support.recorded import MISSING, Case, cases

# As Claude Code sends them: members of betas, a system message within the messages, server tools.
BODY = {
    "model": "claude-x",
    "messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}],
    "system": [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    "max_tokens": 32000,
    "stream": True,
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": []},
    "metadata": {"user_id": '{"session":"s"}'},
    "a_member_of_next_month": {"x": 1},
}


def test_only_the_model_is_replaced() -> None:
    body = json.dumps(BODY, indent=1).encode()
    call = REQUESTS.read(body)
    assert (call.model, call.names, call.stream, call.choices, call.verbatim) == (
        "claude-x",
        ("claude-x",),
        True,
        1,
        True,
    )
    assert (call.router_fields, call.stateless, call.wants_usage, call.other_models) == ((), False, False, "")
    assert b"".join(call.segments({"model": b'"other"'})) == body.replace(b'"claude-x"', b'"other"')


@pytest.mark.parametrize("name", ["tags", "provider", "min_context_size", "store", "n", "stream_options", "type"])
def test_members_of_other_dialects_have_no_meaning(name: str) -> None:
    call = REQUESTS.read(json.dumps(BODY | {name: ["anything"]}).encode())
    assert (call.router_fields, call.choices, call.stateless, call.wants_usage) == ((), 1, False, False)


def test_a_count_of_tokens_costs_none() -> None:
    call = COUNTS.read(json.dumps(BODY).encode())
    assert (call.model, COUNTS.prompt_tokens(call, 9, 9), COUNTS.output_tokens(call, 9, 9)) == ("claude-x", 0, 0)


@pytest.mark.skipif(not cases("anthropic"), reason=MISSING)
@pytest.mark.parametrize("case", [case for case in cases("anthropic") if case.request], ids=str)
def test_recorded_requests_are_read(case: Case) -> None:
    document, call = json.loads(case.request), REQUESTS.read(case.request)
    assert (call.model, call.stream) == (document["model"], document.get("stream", False))
    assert REQUESTS.output_tokens(call, 5, 6) == document["max_tokens"]
    assert 0 < REQUESTS.prompt_tokens(call, 1000, 0) < len(case.request)
