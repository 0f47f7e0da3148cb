"""The described request bodies against the fields that the gateway reads."""

from __future__ import annotations

from typing import Any

from proxy.control.openapi.calls import FIELDS, request_body
from proxy.dialects.openai.call import READ
from proxy.routing.endpoints import ENDPOINTS


def properties(body: dict[str, Any]) -> dict[str, Any]:
    (content,) = body["content"].values()
    found: dict[str, Any] = content["schema"]["properties"]
    return found


def test_the_described_fields_are_those_that_are_read() -> None:
    assert FIELDS.keys() == READ
    described = {name for endpoint in ENDPOINTS for name in properties(request_body(endpoint))}
    assert described - {"file", "image"} == READ
