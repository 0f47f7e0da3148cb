from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.writer import OpenAIWriter
from proxy.dialects.provider_error import MESSAGE_LIMIT, ProviderError, fault_of, find, refused
from proxy.errors import ErrorInStream

body = OpenAIWriter().error_body


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
def test_the_error_is_found_in_every_providers_form(document: Any, error: ProviderError) -> None:
    assert find(document) == error
    assert refused(json.dumps(document).encode()) == error


@pytest.mark.parametrize(
    "document",
    [{}, {"error": None}, {"error": {}}, {"error": ""}, {"error": []}, {"error": False}, {"error": 5}, [], [{}, {}], "error", None,
     {"message": "all is well"}],
)  # fmt: skip
def test_a_document_without_an_error_has_none(document: Any) -> None:
    assert find(document) is None


@pytest.mark.parametrize("data", [b"", b"<html>", b"{", b'{"error":', b"\xff", b"[" * 100_000])
def test_invalid_json_has_no_error(data: bytes) -> None:
    assert refused(data) is None


@pytest.mark.parametrize(
    ("error", "status", "code", "kind"),
    [
        (ProviderError("m", "server_error", None, "c", 500), 500, "c", "server_error"),
        (ProviderError("m", None, None, None, 0), 502, "upstream_error_in_stream", None),
        (ProviderError("m", "overloaded_error", None, None, 529), 503, "upstream_error_in_stream", "overloaded_error"),
        (ProviderError("m", None, None, 429, 429), 429, "429", None),
        (None, 502, "upstream_error_in_stream", None),
    ],
)
def test_the_fault_has_the_status_of_the_error(
    error: ProviderError | None, status: int, code: str, kind: str | None
) -> None:
    fault = fault_of(error)
    assert isinstance(fault, ErrorInStream)
    assert (fault.status, fault.code, fault.provider_type) == (status, code, kind)
    assert fault.message == ("m" if error else "The provider reported an error.")


def test_a_message_about_our_credential_is_not_relayed() -> None:
    fault = fault_of(ProviderError("Incorrect API key provided: sk-123", "t", "p", "c", 401))
    assert (fault.status, fault.code) == (502, "upstream_auth_failed")
    assert b"sk-123" not in body(fault)


@pytest.mark.parametrize("status", [402, 403])
def test_a_message_about_the_request_is_relayed_without_our_account(status: int) -> None:
    fault = fault_of(ProviderError("Not for org-abc123def", None, None, "c", status))
    assert (fault.status, fault.message) == (status, "Not for org-***")


def test_the_length_of_a_providers_error_is_bounded() -> None:
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
def test_any_error_can_be_reported(document: Any) -> None:
    error = find(document) or find({"error": document})
    fault = fault_of(error)
    assert 400 <= fault.status <= 599
    assert json.loads(body(fault))["error"]["message"]


@given(anything, st.integers(400, 599))
def test_any_refusal_can_be_relayed(document: Any, status: int) -> None:
    for refusal in (document, {"detail": document}, {"message": document, "error": document}):
        came = json.dumps(refusal).encode()
        error = refused(came)
        if error is not None:
            json.loads(OpenAIWriter().relayed_error(error, came, status))
