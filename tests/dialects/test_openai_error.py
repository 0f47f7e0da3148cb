from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai_error import MESSAGE_LIMIT, ProviderError, body, fault_of, find, refused, relayed
from proxy.errors import ClientFault, ErrorInStream


def test_an_error_of_ours_has_all_four_members() -> None:
    fault = ClientFault("Wrong.", param="model", code="invalid_type")
    assert json.loads(body(fault)) == {
        "error": {"message": "Wrong.", "type": "invalid_request_error", "param": "model", "code": "invalid_type"}
    }


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"error": {"message": "m", "type": "invalid_request_error", "param": "p", "code": "c"}},
         ProviderError("m", "invalid_request_error", "p", "c", 400)),
        ({"error": {"message": "m", "type": None, "param": None, "code": None}}, ProviderError("m")),
        ({"error": "m"}, ProviderError("m")),
        ([{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}], ProviderError("m", code=429, status=429)),
        ({"error": {"message": "m", "code": 502}, "user_id": "u"}, ProviderError("m", code=502, status=502)),
        ({"error": {"message": "m", "code": "503"}}, ProviderError("m", code="503", status=503)),
        ({"error": {"message": "m", "status_code": 400, "type": "server_error"}}, ProviderError("m", "server_error", status=400)),
        ({"error": {"message": "m"}, "status_code": 404}, ProviderError("m", status=404)),
        ({"error": {"type": "overloaded_error", "message": "Overloaded"}}, ProviderError("Overloaded", "overloaded_error", status=529)),
        ({"error": {"code": "rate_limit_exceeded"}}, ProviderError(code="rate_limit_exceeded", status=429)),
        ({"error": {"message": 5, "type": [], "code": True, "param": {}}}, ProviderError()),
        ({"error": {"code": 200}}, ProviderError(code=200)),
    ],
)  # fmt: skip
def test_the_error_is_found_in_what_providers_send(document: Any, error: ProviderError) -> None:
    assert find(document) == error
    assert refused(json.dumps(document).encode()) == error


@pytest.mark.parametrize(
    "document",
    [{}, {"error": None}, {"error": {}}, {"error": ""}, {"error": []}, {"error": False}, {"error": 5}, [], [{}, {}], "error", None,
     {"message": "all is well"}],
)  # fmt: skip
def test_what_holds_no_error_is_none(document: Any) -> None:
    assert find(document) is None


@pytest.mark.parametrize("data", [b"", b"<html>", b"{", b'{"error":', b"\xff", b"[" * 100_000])
def test_what_is_no_json_holds_no_error(data: bytes) -> None:
    assert refused(data) is None


@pytest.mark.parametrize(
    ("error", "status", "code", "kind"),
    [
        (ProviderError("m", "server_error", None, "c", 500), 500, "c", "server_error"),
        (ProviderError("m", None, None, None, 0), 502, "upstream_error_in_stream", "upstream_error"),
        (ProviderError("m", "overloaded_error", None, None, 529), 503, "upstream_error_in_stream", "overloaded_error"),
        (ProviderError("m", None, None, 429, 429), 429, "429", "upstream_error"),
        (None, 502, "upstream_error_in_stream", "upstream_error"),
    ],
)
def test_the_fault_has_the_status_that_the_answer_should_have_had(
    error: ProviderError | None, status: int, code: str, kind: str
) -> None:
    fault = fault_of(error)
    assert isinstance(fault, ErrorInStream)
    assert (fault.status, fault.code, fault.type) == (status, code, kind)
    assert fault.message == ("m" if error else "The provider reported an error.")


def test_what_a_provider_says_of_our_credential_is_not_told() -> None:
    fault = fault_of(ProviderError("Incorrect API key provided: sk-123", "t", "p", "c", 401))
    assert (fault.status, fault.code) == (502, "upstream_auth_failed")
    assert b"sk-123" not in body(fault)


@pytest.mark.parametrize("status", [402, 403])
def test_what_a_provider_says_of_the_request_is_told_without_our_account(status: int) -> None:
    fault = fault_of(ProviderError("Not for org-abc123def", None, None, "c", status))
    assert (fault.status, fault.message) == (status, "Not for org-***")


SHAPES: list[tuple[str, object, dict[str, object]]] = [
    ("FastAPI", {"detail": "Not allowed"}, {"message": "Not allowed", "code": "upstream_422"}),
    (
        "FastAPI, a list",
        {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required", "input": {"prompt": "p"}}]},
        {"message": "body.model: Field required", "code": "upstream_422"},
    ),
    ("a nested detail", {"detail": {"message": "No"}}, {"message": "No", "code": "upstream_422"}),
    ("Ollama", {"error": "text"}, {"message": "text", "code": "upstream_422"}),
    ("xAI", {"code": "invalid-argument", "error": "text"}, {"message": "text", "code": "invalid-argument"}),
    ("xAI, a sentence for a code", {"code": "Client said so", "error": "t"}, {"message": "t", "code": "upstream_422"}),
    (
        "vLLM",
        {"object": "error", "message": "text", "type": "BadRequestError", "param": "n", "code": 400},
        {"message": "text", "type": "BadRequestError", "param": "n", "code": "upstream_422"},
    ),
    ("Gemini", [{"error": {"message": "text", "code": 400}}], {"message": "text", "code": 400}),
]


@pytest.mark.parametrize(("name", "document", "told"), SHAPES, ids=[case[0] for case in SHAPES])
def test_an_error_in_another_shape_becomes_an_openai_error_object(
    name: str, document: object, told: dict[str, object]
) -> None:
    assert json.loads(relayed(json.dumps(document).encode(), 422)) == {
        "error": {"type": "invalid_request_error", "param": None} | told
    }


def test_an_openai_error_goes_on_as_it_came() -> None:
    came = b'{ "error": {"message": "m", "type": "t", "param": null, "code": "c", "more": 1}, "request_id": "r" }'
    assert relayed(came, 400) is came
    assert relayed(b"<html>", 400) == b"<html>"
    assert relayed(b"[]", 400) == b"[]"


def test_a_400_without_a_code_gets_one_that_says_so() -> None:
    came = {"error": {"message": "m", "type": "t", "param": None, "code": None, "more": 1}, "request_id": "r"}
    told = json.loads(relayed(json.dumps(came).encode(), 400))
    assert told == came | {"error": came["error"] | {"code": "upstream_400"}}


def test_the_words_of_a_provider_are_bounded() -> None:
    error = find({"error": {"message": "m" * 10**6, "type": "t" * 10**6, "code": "c" * 10**6}})
    assert len(body(fault_of(error))) < 4 * MESSAGE_LIMIT


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud83d", 10**4000, "rate_limit", "４２９"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["error", "message", "type", "code", "param", "status", "status_code"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(anything)
def test_no_error_is_so_strange_that_it_could_not_be_told(document: Any) -> None:
    error = find(document) or find({"error": document})
    fault = fault_of(error)
    assert 400 <= fault.status <= 599
    assert json.loads(body(fault))["error"]["message"]


@given(anything, st.integers(400, 599))
def test_no_refusal_is_so_strange_that_it_could_not_be_relayed(document: Any, status: int) -> None:
    for told in (document, {"detail": document}, {"message": document, "error": document}):
        body = json.dumps(told).encode()
        json.loads(relayed(body, status))
        refused(body)
