"""Signatures of a translated conversation, on their way to Google."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini import signatures
from proxy.dialects.gemini.call import GEMINI_REQUESTS
from proxy.dialects.patches.base import change_of, prepare
from proxy.dialects.patches.table import ALWAYS, always
from proxy.dialects.translation.conversation import Blob
from proxy.wire.patch import parse
from tests.support.gemini_requests import call, model, user

OURS, THEIRS = "a" * 12, "b" * 12
NATIVE = base64.b64encode(b"\x01google").decode()
SKIP = "skip_thought_signature_validator"
PATH = "generateContent"


def reasoning(issuer: str, text: str = "Hm.") -> str:
    return signatures.of_reasoning(Blob("c2ln"), text, issuer)


def of_call(issuer: str) -> str:
    return signatures.of_call(Blob("c2ln"), issuer)


def signed(text: str, signature: str, **more: Any) -> dict[str, Any]:
    return {"text": text, "thoughtSignature": signature} | more


def sent(*contents: dict[str, Any]) -> list[Any]:
    """The contents that a provider with the issuer OURS gets."""
    members = parse(json.dumps({"contents": contents}, indent=1).encode())
    change = change_of(ALWAYS[PATH], members)
    if change is None:
        return list(contents)
    assert change.by_issuer is not None
    found = change.by_issuer(frozenset((OURS,)))
    return list(json.loads(b"".join(members.splice(found.members, found.edits)))["contents"])


def test_a_call_of_another_model_gets_the_value_that_google_documents() -> None:
    found = sent(user("Hi"), model(call("f", "1", reasoning(THEIRS)), call("g", "2", of_call(THEIRS)), call("h")))
    assert found == [user("Hi"), model(call("f", "1", SKIP), call("g", "2", SKIP), call("h"))]


def test_a_text_loses_the_signature_of_another_model() -> None:
    assert sent(model(signed("a", reasoning(THEIRS)), "b")) == [model("a", "b")]


def test_what_is_nothing_but_a_signature_is_left_out() -> None:
    empty = signed("", reasoning(THEIRS))
    bare = {"thoughtSignature": reasoning(THEIRS), "thought": True}
    assert sent(user("Hi"), model(empty, "a", bare), user("b")) == [user("Hi"), model("a"), user("b")]
    assert sent(user("Hi"), model(empty), user("b")) == [user("Hi"), user("b")]


def test_a_provider_gets_its_own_signatures_as_it_made_them() -> None:
    found = sent(model(call("f", "1", of_call(OURS)), signed("a", reasoning(OURS))))
    assert found == [model(call("f", "1", "c2ln"), signed("a", "c2ln"))]


def test_both_spellings_are_read() -> None:
    part = {"function_call": {"name": "f"}, "thought_signature": reasoning(THEIRS)}
    assert sent(model(part)) == [model(part | {"thought_signature": SKIP})]


@pytest.mark.parametrize(
    "contents",
    [
        [model(call("f", "1", NATIVE), signed("a", NATIVE))],
        [user("c2wxL", '"c2wxL')],
        [model(signed("a", "c2wxLnot base64"))],
        [{"role": "model", "parts": signed("a", reasoning(THEIRS))}],
        [{"c2wxL": 1}],
    ],
)
def test_all_else_stays_as_it_is(contents: list[dict[str, Any]]) -> None:
    assert sent(*contents) == contents


@given(st.sampled_from((OURS, THEIRS, "")), st.text(max_size=9))
def test_the_mark_is_in_every_signature(issuer: str, text: str) -> None:
    body = json.dumps({"contents": [model(call("f", "1", reasoning(issuer, text)))]}).encode()
    found = GEMINI_REQUESTS.read(body)
    assert always(found, PATH) == (ALWAYS[PATH],)
    for _ in prepare(found, [ALWAYS[PATH]]):
        pass
    assert always(found, PATH) == (ALWAYS[PATH],)
    assert always(GEMINI_REQUESTS.read(b'{"contents":[]}'), PATH) == ()
