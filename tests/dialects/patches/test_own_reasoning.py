from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.call import REQUESTS
from proxy.dialects.openai.call import REQUESTS as RESPONSES
from proxy.dialects.patches.base import change_of, prepare
from proxy.dialects.patches.table import ALWAYS, always
from proxy.dialects.translation.blobs import pack, pack_call
from proxy.dialects.translation.conversation import Blob
from proxy.wire.patch import parse

OURS, THEIRS = "a" * 12, "b" * 12
TEXT = {"type": "text", "text": 'Say "sl1.'}
TOOL_USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "1"}]}
OWN = {"type": "thinking", "thinking": "So", "signature": "EqQB"}  # never passed a translation
ENABLED = {"type": "enabled", "budget_tokens": 2048}


def thinking(issuer: str, data: str = "c2ln") -> dict[str, Any]:
    return {"type": "thinking", "thinking": "Hm", "signature": pack(Blob(data), issuer)}


def redacted(issuer: str) -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": pack(Blob("ZGF0YQ==", "redacted"), issuer)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def applied(path: str, body: bytes, issuers: Iterable[str] = (OURS,)) -> bytes:
    """The body for a provider that is these issuers; the same object if there is nothing to change."""
    members = parse(body)
    change = change_of(ALWAYS[path], members)
    if change is None:
        return body
    assert change.by_issuer is not None
    found = change.by_issuer(frozenset(issuers))
    return b"".join(members.splice(found.members, found.edits))


def messages(*given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The body that a provider gets for these messages."""
    sent = json.dumps({"model": "m", "messages": given} | more).encode()
    found: dict[str, Any] = json.loads(applied("messages", sent))
    return found


def test_a_provider_gets_its_own_blobs_as_it_made_them() -> None:
    found = messages(assistant(thinking(OURS), redacted(OURS), TEXT))
    assert found["messages"] == [
        assistant(
            {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            TEXT,
        )
    ]


def test_another_providers_reasoning_is_left_out() -> None:
    found = messages(assistant(thinking(THEIRS), OWN, redacted(THEIRS), TEXT, thinking(THEIRS)))
    assert found["messages"] == [assistant(OWN, TEXT)]


def test_a_message_of_nothing_else_is_left_out() -> None:
    one, two = {"role": "user", "content": "1"}, {"role": "user", "content": "2"}
    assert messages(one, assistant(thinking(THEIRS)), two)["messages"] == [one, two]
    assert messages(assistant(thinking(THEIRS)))["messages"] == []


@pytest.mark.parametrize(
    "signature",
    [
        pack(Blob("x", "encrypted"), OURS),
        pack(None, OURS, "text"),
        pack_call(Blob("x"), OURS),
        "sl1.",
        f"sl1.{OURS}.",
        f"sl1.{OURS}.t!!!.s",
    ],
)
def test_what_is_no_signature_of_the_provider_is_left_out(signature: str) -> None:
    assert messages(assistant(thinking(OURS) | {"signature": signature}, TEXT))["messages"] == [assistant(TEXT)]


def test_escapes_of_a_client_do_not_matter() -> None:
    signature = pack(Blob("a/b+c=="), OURS).replace("/", "\\/").replace("=", "\\u003d")
    body = b'{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"%b"}]}]}'
    assert b'"signature":"a/b+c=="' in applied("messages", body % signature.encode())


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [assistant(TEXT, OWN)]},
        {"messages": [assistant({"type": "text", "text": "sl1.a.sb"})]},
        {"messages": [{"role": "user", "content": "sl1.a.sb"}]},
        {"messages": "sl1."},
        {"messages": None, "system": "sl1."},
        {"messages": [assistant({"type": ["thinking"], "signature": "sl1."}), {"content": {"x": "sl1."}}]},
        {},
    ],
)
def test_all_else_passes_as_it_came(body: dict[str, Any]) -> None:
    sent = json.dumps(body).encode()
    assert applied("messages", sent) is sent


# -- thinking with a budget -----------------------------------------------------------------------


def test_thinking_is_turned_off_where_the_last_message_would_have_to_begin_with_it() -> None:
    found = messages(assistant(thinking(THEIRS), TOOL_USE), RESULT, thinking=ENABLED, max_tokens=9)
    assert found == {"model": "m", "messages": [assistant(TOOL_USE), RESULT], "max_tokens": 9}
    edits = {"edits": [{"type": "clear_thinking_20251015"}]}
    found = messages(assistant(thinking(THEIRS), TOOL_USE), RESULT, thinking=ENABLED, context_management=edits)
    assert set(found) == {"model", "messages"}


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ([assistant(thinking(THEIRS), TOOL_USE), RESULT], {"type": "adaptive"}),
        ([assistant(thinking(OURS), TOOL_USE), RESULT], ENABLED),
        ([assistant(thinking(THEIRS), OWN, TOOL_USE), RESULT], ENABLED),
        ([assistant(thinking(THEIRS), TEXT), {"role": "user", "content": "Go on"}], ENABLED),
        ([assistant(thinking(THEIRS), TOOL_USE), RESULT, assistant(OWN, TOOL_USE), RESULT], ENABLED),
    ],
)
def test_else_the_model_thinks_as_the_client_wants(given: list[dict[str, Any]], mode: dict[str, Any]) -> None:
    assert messages(*given, thinking=mode)["thinking"] == mode


# -- Responses ------------------------------------------------------------------------------------


def items(*given: Any) -> Any:
    sent = json.dumps({"model": "m", "input": given}).encode()
    return json.loads(applied("responses", sent))["input"]


def reasoning(issuer: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": pack(Blob("Z0FB", "encrypted"), issuer, "text")}


def test_items_of_reasoning_go_to_their_issuer_only() -> None:
    message = {"role": "user", "content": "Hi"}
    own = {"type": "reasoning", "summary": [], "encrypted_content": "Z0FB"}
    assert items(message, reasoning(OURS), message, reasoning(THEIRS)) == [message, own, message]
    assert items(reasoning(THEIRS), reasoning(THEIRS)) == []


def test_an_input_that_is_a_text_passes() -> None:
    sent = b'{"input":"sl1."}'
    assert applied("responses", sent) is sent


# -- all bodies -----------------------------------------------------------------------------------

blocks = st.sampled_from([TEXT, TOOL_USE, OWN, thinking(OURS), thinking(THEIRS), redacted(OURS), redacted(THEIRS)])
conversations = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant"]),
        st.lists(blocks, max_size=5) | st.sampled_from(["", "sl1."]),
    ),
    max_size=6,
)


@given(conversations, st.sampled_from([(",", ":"), (" ,\n", " : ")]))
def test_any_conversation_keeps_all_but_other_providers_blocks(
    conversation: list[dict[str, Any]], separators: tuple[str, str]
) -> None:
    sent = json.dumps({"messages": conversation, "x": 1}, separators=separators).encode()
    bare = {thinking(OURS)["signature"]: "c2ln", redacted(OURS)["data"]: "ZGF0YQ=="}
    expected = []
    for message in conversation:
        content = message["content"]
        if isinstance(content, list):
            kept = [each for each in content if each not in (thinking(THEIRS), redacted(THEIRS))]
            if content and not kept:
                continue
            content = [{name: bare.get(value, value) if isinstance(value, str) else value for name, value in each.items()}
                       for each in kept]  # fmt: skip
        expected.append(message | {"content": content})
    assert json.loads(applied("messages", sent)) == {"messages": expected, "x": 1}


def test_a_body_is_searched_once_and_a_large_one_in_steps() -> None:
    plain = REQUESTS.read(json.dumps({"model": "m", "messages": [assistant(TEXT | {"text": "Hi"})]}).encode())
    marked = REQUESTS.read(json.dumps({"model": "m", "messages": [assistant(thinking(OURS))]}).encode())
    for call, found in ((plain, ()), (marked, (ALWAYS["messages"],))):
        assert always(call, "messages") == found
        for _ in prepare(call, [ALWAYS["messages"]]):
            pass
        assert always(call, "messages") == found
    assert always(RESPONSES.read(b'{"input":"sl1."}'), "responses") == (ALWAYS["responses"],)


def test_many_messages_are_looked_at_in_steps() -> None:
    body = json.dumps({"model": "m", "messages": [assistant(thinking(OURS))] * 1000}).encode()
    assert len(list(prepare(REQUESTS.read(body), [ALWAYS["messages"]]))) > 1000
