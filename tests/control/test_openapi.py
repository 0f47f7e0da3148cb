"""The API description: valid, whole, and made of what the routes answer by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, get_args

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from proxy.config.schema import Recovery
from proxy.control import operations
from proxy.control.activity.requests import Wanted
from proxy.control.http.router import Route
from proxy.control.keys.bodies import KeyChange, KeyPaging, KeyRotation, KeyWish
from proxy.control.keys.fields import change, grace, new, page
from proxy.control.openapi import calls, wishes
from proxy.control.openapi.document import document
from proxy.control.openapi.faults import API, Error, refer
from proxy.control.openapi.operation import Operation
from proxy.control.openapi.schemas import Schemas, parameters
from proxy.dialects.openai_call import READ
from proxy.dialects.table import CHAT
from proxy.errors import ClientFault, GatewayError, Overloaded, RateLimited, Unauthorized
from proxy.routing.endpoints import ENDPOINTS
from proxy.wire.criteria import HEADERS, of_headers
from tests.support.gateway import Gateway

# For people: pages and what they load, and the description itself.
PAGES = {"/", "/admin", "/admin/assets/{name}", "/docs", "/docs/{name}", "/redoc", "/openapi.json"}
ALIASES = {"/v1/health", "/api/v1/health"}


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with Gateway({"demo": "auto"}) as gw:
        yield gw


def table(gw: Gateway) -> tuple[Route, ...]:
    assert gw.app.plane is not None
    return gw.app.plane.routes


async def described(gw: Gateway) -> dict[str, Any]:
    client = await gw.client()
    answer = await client.fetch("GET", "/openapi.json")
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    found: dict[str, Any] = answer.json
    return found


async def test_the_document_is_valid_and_open_to_anybody(gw: Gateway) -> None:
    found = await described(gw)
    OpenAPIV31SpecValidator(found).validate()
    assert found["openapi"].startswith("3.1.")
    assert await described(gw) == found


async def test_every_route_is_described_or_a_page_for_people(gw: Gateway) -> None:
    left = {route.path for route in table(gw) if route.operation is None}
    assert left == PAGES | ALIASES
    paths = (await described(gw))["paths"]
    for route in table(gw):
        if route.operation is not None:
            told = paths[route.path.replace("{+", "{")][route.method.lower()]
            assert told["summary"] == route.operation.summary
            assert bool(told["security"]) == (route.wants == "admin")


async def test_every_endpoint_of_the_api_is_described(gw: Gateway) -> None:
    paths = (await described(gw))["paths"]
    for endpoint in ENDPOINTS:
        told = paths[f"/v1/{endpoint.alias or endpoint.path}"]["post"]
        assert ("text/event-stream" in told["responses"]["200"]["content"]) == endpoint.streams
        (content,) = told["requestBody"]["content"]
        assert content == ("multipart/form-data" if endpoint.body == "multipart" else "application/json")
    assert {"/v1/models", "/v1/models/{model}"} < paths.keys()


async def test_operations_have_ids_of_their_own_and_known_tags(gw: Gateway) -> None:
    found = await described(gw)
    told = [each for methods in found["paths"].values() for each in methods.values()]
    ids = [each["operationId"] for each in told]
    assert len(ids) == len(set(ids))
    assert {tag for each in told for tag in each["tags"]} == {tag["name"] for tag in found["tags"]}


async def test_there_is_nothing_among_the_components_that_nobody_refers_to(gw: Gateway) -> None:
    found = await described(gw)
    text = msgspec.json.encode(found).decode()
    for kind, components in found["components"].items():
        for name in components:
            needle = f'"{name}":[' if kind == "securitySchemes" else f'"#/components/{kind}/{name}"'
            assert needle in text, needle


async def test_every_operation_there_is_belongs_to_a_route(gw: Gateway) -> None:
    used = [route.operation for route in table(gw)]
    there = {name: each for name, each in vars(operations).items() if isinstance(each, Operation)}
    assert [name for name, each in there.items() if each not in used] == []


async def test_descriptions_are_markdown_and_tell_of_no_secret(gw: Gateway) -> None:
    text = msgspec.json.encode(await described(gw)).decode()
    assert "``" not in text
    assert gw.config.admin.token not in text


# -- the API ------------------------------------------------------------------------------------------


def test_the_fields_that_the_gateway_reads_are_those_that_are_described() -> None:
    assert calls.FIELDS.keys() == READ
    there = {name for endpoint in ENDPOINTS for name in properties(calls.body(endpoint))}
    assert there - {"file", "image"} == READ


def properties(body: dict[str, Any]) -> dict[str, Any]:
    (content,) = body["content"].values()
    found: dict[str, Any] = content["schema"]["properties"]
    return found


def test_the_router_headers_are_those_that_are_read() -> None:
    assert wishes.parameters().keys() > HEADERS.keys()
    for header, name in HEADERS.items():
        schema = wishes.parameters()[header]["schema"]
        example = schema.get("enum", schema.get("examples", ["0" if schema["type"] != "string" else "x"]))[0]
        assert of_headers({header: example}) is not None, name
        with pytest.raises(ClientFault, match=header):
            of_headers({header: "x" * 300})


def test_recovery_knows_no_other_words() -> None:
    assert wishes.parameters()["x-router-stream-recovery"]["schema"]["enum"] == list(get_args(Recovery))


@pytest.mark.parametrize(
    "fault",
    [
        GatewayError("It broke."),
        ClientFault("Wrong.", param="n", code="invalid_value"),
        Unauthorized(),
        Overloaded("Full."),
        RateLimited("client", "requestsPerMinute", retry_after=3),
    ],
)
def test_errors_have_the_shape_that_is_described(fault: GatewayError) -> None:
    body = CHAT.writer.error_body(fault)
    assert msgspec.json.encode(msgspec.json.decode(body, type=Error)) == body
    assert str(fault.status) in refer(API) or fault.status // 100 == 5


# -- the control plane --------------------------------------------------------------------------------


def test_the_bodies_of_the_key_routes_are_those_that_are_read() -> None:
    now = 1_000_000.0
    values = {
        "name": "a",
        "owner": "b",
        "enabled": False,
        "models": ["m"],
        "providers": ["p"],
        "scopes": ["passthrough"],
        "limits": {"requestsPerMinute": 5},
        "expires": "2030-01-01T00:00:00Z",
        "expiresIn": 60,
    }
    assert {field.encode_name for field in msgspec.structs.fields(KeyChange)} == values.keys()
    for name, value in values.items():
        msgspec.convert({name: value}, type=KeyChange, strict=True)
        assert change({name: value}, now)
        assert new({"name": "a", name: value}, now)
        msgspec.convert({"name": "a", name: value}, type=KeyWish)
    with pytest.raises(ClientFault, match="known: " + ", ".join(values)):
        change({"qqq": 1}, now)
    assert grace(msgspec.to_builtins(KeyRotation())) == KeyRotation().grace_secs
    assert page("limit=7&after=x") == (7, "x")
    assert page("") == (KeyPaging().limit, KeyPaging().after)


def test_parameters_of_a_query_have_their_bounds_and_defaults() -> None:
    found = {each["name"]: each for each in parameters(Wanted)}
    assert found["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert not found["before"]["required"]


def test_a_union_of_structs_is_any_of_them() -> None:
    schemas = Schemas([*Operation("keys", "x", KeyWish | KeyRotation).types])
    assert schemas.of(KeyWish | KeyRotation) == {
        "anyOf": [{"$ref": "#/components/schemas/KeyWish"}, {"$ref": "#/components/schemas/KeyRotation"}]
    }


def test_of_two_routes_with_a_path_the_last_is_told() -> None:
    async def nobody(request: object) -> None: ...

    first = Route("GET", "/health", "open", nobody, operations.HEALTH)
    last = Route("GET", "/health", "open", nobody, operations.LIVE)
    assert document([first, last], "1")["paths"]["/health"]["get"]["summary"] == operations.LIVE.summary


def test_what_follows_from_a_route_need_not_be_said() -> None:
    async def nobody(request: object) -> None: ...

    route = Route("POST", "/admin/x/{id}", "admin", nobody, Operation("keys", "x", KeyPaging, body=KeyWish))
    told = document([route], "1")["paths"]["/admin/x/{id}"]["post"]
    assert told["responses"].keys() == {"200", "400", "401", "403", "404", "408", "413", "415", "429", "503"}
    assert told["security"] == [{"adminToken": []}, {"session": []}]
    assert told["parameters"] == [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
