"""The OpenAPI document as a whole: valid, complete, and without secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from proxy.control.http.router import ControlRoute
from tests.support.gateway import Gateway

# Pages that people read, the files that these load, and the document itself.
UNDESCRIBED = {"/", "/admin", "/admin/assets/{name}", "/docs", "/docs/{name}", "/redoc", "/openapi.json"}
KEYS = "/admin/auth/api-keys"
ALIASES = {"/v1/health", "/api/v1/health", KEYS, f"{KEYS}/{{id}}", f"{KEYS}/{{id}}/rotate"} | {
    f"/admin/billing/{name}" for name in ("balance/{user}", "transactions", "transaction", "accounts")
}
SERVICES = ("services", *(f"services/{{name}}{each}" for each in ("", "/addresses", "/weight", "/health")))
ALIASES |= {f"/admin/{name}" for name in (*SERVICES, "routes", "routes/{id}")}
PROBES = {"/", "/health", "/health/live", "/ready"}  # OPTIONS, for balancers that check with it


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with Gateway({"demo": "auto"}) as gw:
        yield gw


def table(gw: Gateway) -> tuple[ControlRoute, ...]:
    assert gw.app.plane is not None
    return gw.app.plane.routes


async def fetch(gw: Gateway) -> dict[str, Any]:
    client = await gw.client()
    answer = await client.fetch("GET", "/openapi.json")
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    document: dict[str, Any] = answer.json
    return document


async def test_the_document_is_valid_and_needs_no_credential(gw: Gateway) -> None:
    document = await fetch(gw)
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1.")
    assert await fetch(gw) == document


async def test_every_route_is_described_except_pages_for_people(gw: Gateway) -> None:
    left_out = [route for route in table(gw) if route.operation is None]
    assert {route.path for route in left_out if route.method != "OPTIONS"} == UNDESCRIBED | ALIASES
    assert {route.path for route in left_out if route.method == "OPTIONS"} == PROBES
    paths = (await fetch(gw))["paths"]
    for route in table(gw):
        if route.operation is not None:
            described = paths[route.path.replace("{+", "{")][route.method.lower()]
            assert described["summary"] == route.operation.summary
            assert bool(described["security"]) == (route.credential != "open")


async def test_operation_ids_are_unique_and_tags_are_declared(gw: Gateway) -> None:
    document = await fetch(gw)
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    ids = [each["operationId"] for each in operations]
    assert len(ids) == len(set(ids))
    assert {tag for each in operations for tag in each["tags"]} == {tag["name"] for tag in document["tags"]}


async def test_every_component_is_referred_to(gw: Gateway) -> None:
    document = await fetch(gw)
    text = msgspec.json.encode(document).decode()
    for kind, components in document["components"].items():
        for name in components:
            needle = f'"{name}":[' if kind == "securitySchemes" else f'"#/components/{kind}/{name}"'
            assert needle in text, needle


async def test_descriptions_are_markdown_and_contain_no_secret(gw: Gateway) -> None:
    text = msgspec.json.encode(await fetch(gw)).decode()
    assert "``" not in text
    assert gw.config.admin.token not in text
