from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.call import Call
from proxy.dialects.gemini.call import GEMINI_OTHER_REQUESTS, GEMINI_REQUESTS, MOST_IN_BATCH
from proxy.errors import ClientFault
from tests.support.gemini import WIRE

HI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def read(body: Any) -> Call:
    return GEMINI_REQUESTS.read(body if isinstance(body, bytes) else json.dumps(body).encode())


def test_a_body_has_no_model_and_no_stream_flag() -> None:
    call = read(HI | {"model": "models/x", "stream": True})
    assert (call.model, call.names, call.auto, call.verbatim, call.stream) == (None, (), True, True, False)


def test_a_client_that_sends_unknown_members_is_served() -> None:
    body = json.dumps(HI | {"tags": 5, "fallbacks": ["x"], "Model": 1, "memberOfTomorrow": {}}).encode()
    call = read(body)
    assert (call.body, call.router_fields, call.other_models) == (body, (), "")


@pytest.mark.parametrize(
    ("config", "choices"),
    [({}, 1), ({"candidateCount": 3}, 3), ({"candidate_count": 2}, 2), ({"candidateCount": "4"}, 4), ({"candidateCount": 0}, 1),
     ({"candidateCount": -1}, 1), ({"candidateCount": 1.5}, 1), ({"candidateCount": None}, 1), ({"candidateCount": 10**9}, 1000),
     ([], 1), (5, 1), (None, 1), ({"candidateCount": "9" * 40}, 1000)],
)  # fmt: skip
@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_the_candidates_are_the_choices(name: str, config: Any, choices: int) -> None:
    assert read(HI | {name: config}).choices == choices


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"contents":"\xff"}', "invalid_json"),
        (b"[]", "invalid_body"),
        (b'{"contents":[],"contents":[]}', "duplicate_member"),
    ],
)
def test_a_wrong_body_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(ClientFault) as raised:
        read(body)
    assert (raised.value.status, raised.value.code) == (400, code)


def test_a_large_body_is_checked_in_steps() -> None:
    body = json.dumps(HI | {"x": "ä" * 200_000}, ensure_ascii=False).encode()
    assert len(list(GEMINI_REQUESTS.check(body))) > 3
    assert GEMINI_REQUESTS.read(body, True).body is body
    with pytest.raises(ClientFault):
        list(GEMINI_REQUESTS.check(b'{"x":"\xff"}'))


@pytest.mark.parametrize("case", WIRE, ids=str)
def test_recorded_requests_are_read(case: Any) -> None:
    call = read(case.request)
    assert (call.choices, GEMINI_REQUESTS.model_changes(call, "other")) == (1, {})
    assert GEMINI_REQUESTS.prompt_tokens(call, 1000, 1000) < len(case.request) // 4 + 1
    assert GEMINI_REQUESTS.output_tokens(call, 0, 7) in (7, 100, 65536)


# The model within the body


def changed(body: Any, model: str = "new") -> Any:
    call = read(body)
    changes = GEMINI_OTHER_REQUESTS.model_changes(call, model)
    return json.loads(b"".join(call.segments(changes))) if changes else None


def test_a_body_that_names_no_model_is_left_alone() -> None:
    assert changed(HI) is None
    assert changed({"requests": [{"content": {"parts": []}}]}) is None
    assert changed({"generateContentRequest": HI}) is None


@pytest.mark.parametrize("nested", ["generateContentRequest", "generate_content_request"])
def test_the_model_is_renamed_wherever_the_body_names_it(nested: str) -> None:
    assert changed(HI | {"model": "models/old"}) == HI | {"model": "models/new"}
    assert changed({nested: HI | {"model": "models/old"}}) == {nested: HI | {"model": "models/new"}}
    batch = {"requests": [{"model": "models/old", "content": {}}, {"content": {}}, {"model": "models/new"}], "x": 1}
    assert changed(batch) == {
        "requests": [{"model": "models/new", "content": {}}, {"content": {}}, {"model": "models/new"}],
        "x": 1,
    }


def test_a_body_that_names_the_providers_model_keeps_its_bytes() -> None:
    body = {
        "model": "models/new",
        "generateContentRequest": {"model": "models/new"},
        "requests": [{"model": "models/new"}],
    }
    assert changed(body) is None


def test_a_name_may_have_its_collection() -> None:
    assert changed({"model": "models/old"}, "models/new") == {"model": "models/new"}
    assert changed({"model": "models/old"}, "tunedModels/mine") == {"model": "tunedModels/mine"}


@pytest.mark.parametrize(
    "requests",
    [{}, "x", 5, [5], [[]], [None], None, [{"model": "x"}] * (MOST_IN_BATCH + 1)],
    ids=lambda value: str(value)[:20],
)
def test_requests_that_are_no_list_of_objects_are_left_alone(requests: Any) -> None:
    assert changed({"requests": requests, "generateContentRequest": requests}) is None


def test_a_nested_request_with_too_many_members_is_a_client_error() -> None:
    nested = {f"member-{number}": 0 for number in range(10_001)} | {"model": "models/old"}
    with pytest.raises(ClientFault, match="members"):
        changed({"generateContentRequest": nested})
