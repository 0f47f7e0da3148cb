"""The described request bodies against the fields that the gateway reads."""

from __future__ import annotations

from typing import Any

from proxy.control.openapi.calls import FIELDS, request_body
from proxy.control.openapi.headers import CRITERIA
from proxy.dialects.openai.call import READ
from proxy.routing.endpoints import ENDPOINTS

OPENAI = [endpoint for endpoint in ENDPOINTS if endpoint.wire in ("chat", "responses")]


def properties(body: dict[str, Any]) -> dict[str, Any]:
    (content,) = body["content"].values()
    found: dict[str, Any] = content["schema"]["properties"]
    return found


def test_the_described_fields_are_those_that_are_read() -> None:
    described = {name for endpoint in OPENAI for name in properties(request_body(endpoint))}
    assert described - {"file", "image"} == READ


def test_every_field_is_described_somewhere() -> None:
    described = {name for endpoint in ENDPOINTS for name in properties(request_body(endpoint))}
    assert described - {"file", "image"} == FIELDS.keys()


def test_a_criterion_is_no_member_of_anthropics_and_googles_bodies() -> None:
    for endpoint in ENDPOINTS:
        if endpoint not in OPENAI:
            assert properties(request_body(endpoint)).keys().isdisjoint(CRITERIA)
