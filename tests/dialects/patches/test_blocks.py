from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.patches.blocks import without
from proxy.wire.patch import parse
from tests.dialects.patches.applied import applied

# -- tools that are no function -------------------------------------------------------------------

FUNCTION = '{"type":"function", "name":"f","parameters":{"type":"object"}}'
SEARCH = '{"type":"web_search"}'
NAMESPACE = f'{{"type":"namespace","name":"ns","tools":[{FUNCTION}]}}'


def tools(body: str) -> str:
    return applied("responses", "function-tools-only", body.encode()).decode()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (f"[{FUNCTION}]", f"[{FUNCTION}]"),
        (f"[ {SEARCH} , {FUNCTION} ]", f"[ {FUNCTION} ]"),
        (f"[{FUNCTION},{SEARCH}]", f"[{FUNCTION}]"),
        (f"[{SEARCH},{NAMESPACE},{FUNCTION},{SEARCH},{NAMESPACE},{FUNCTION}]", f"[{FUNCTION},{FUNCTION}]"),
        ('[{"name":"f"}]', '[{"name":"f"}]'),  # the provider decides
        ("[]", "[]"),
        ("null", "null"),
        ('"auto"', '"auto"'),
    ],
)
def test_only_functions_are_kept(given: str, kept: str) -> None:
    assert tools(f'{{"tools":{given},"tool_choice":"auto"}}') == f'{{"tools":{kept},"tool_choice":"auto"}}'


@pytest.mark.parametrize(
    ("choice", "left"),
    [("auto", {}), ("none", {}), ("required", {"tool_choice": "required"})],
)
def test_without_any_function_nothing_that_needs_tools_is_left(choice: str, left: dict[str, Any]) -> None:
    body = {"input": "Hi", "tools": [json.loads(SEARCH)], "tool_choice": choice, "parallel_tool_calls": False}
    assert json.loads(tools(json.dumps(body))) == {"input": "Hi"} | left


@given(st.lists(st.booleans(), min_size=1, max_size=6).filter(any), st.sampled_from(["{}", '{"a":[{}]}']))
def test_removed_elements_take_one_comma_each(kept: list[bool], text: str) -> None:
    body, spans = '{"tools":[', []
    for number in range(len(kept)):
        body += " , " if number else " "
        spans.append((len(body), len(body) + len(text)))
        body += text
    body += " ]}"
    left = b"".join(parse(body.encode()).splice({}, without(spans, kept)))
    assert json.loads(left) == {"tools": [json.loads(text)] * sum(kept)}


# -- the billing header ---------------------------------------------------------------------------

BILLING = '{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.332; cc_entrypoint=cli; cch=36ee5;"}'
BLOCK = '{"type":"text", "text":"You are Claude Code.","cache_control":{"type":"ephemeral"}}'


@pytest.mark.parametrize("path", ["messages", "messages/count_tokens"])
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (f'{{"system":[ {BILLING} , {BLOCK} ],"x":1}}', f'{{"system":[ {BLOCK} ],"x":1}}'),
        (f'{{"system":[{BILLING},{BLOCK},{BLOCK}]}}', f'{{"system":[{BLOCK},{BLOCK}]}}'),
        (f'{{"system":[{BILLING}],"x":1}}', '{"x":1}'),
    ],
)
def test_the_billing_header_is_left_out(path: str, given: str, sent: str) -> None:
    assert applied(path, "no-billing-header", given.encode()).decode() == sent


@pytest.mark.parametrize(
    "body",
    [
        f'{{"system":[{BLOCK},{BILLING}]}}',  # not where Claude Code has it
        f'{{"system":[{{"type":"text","text":"a","y":{BILLING}}}]}}',
        '{"system":"x-anthropic-billing-header: cch=1;"}',
        f'{{"system":[{BILLING},"x"]}}',
        f'{{"messages":[{{"role":"user","content":[{BILLING}]}}]}}',
        '{"system":null}',
        "{}",
    ],
)
def test_no_other_text_is_left_out(body: str) -> None:
    assert applied("messages", "no-billing-header", body.encode()).decode() == body
