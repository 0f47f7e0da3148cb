"""Operation Objects made from routes."""

from __future__ import annotations

from proxy.control.http.operation import Operation
from proxy.control.http.router import ControlRoute
from proxy.control.keys.schemas import KeyListQuery, NewKey
from proxy.control.openapi.api import SECURITY
from proxy.control.openapi.document import document


async def handler(request: object) -> None: ...


def test_the_last_route_with_a_method_and_path_is_described() -> None:
    first = ControlRoute("GET", "/health", "open", handler, Operation("health", "first"))
    last = ControlRoute("GET", "/health", "open", handler, Operation("health", "last"))
    assert document([first, last], "1")["paths"]["/health"]["get"]["summary"] == "last"


def test_a_route_for_either_has_both_credentials_and_its_headers() -> None:
    headers = {"Idempotency-Key": ({"type": "string"}, "A key.")}
    route = ControlRoute("POST", "/billing/x", "either", handler, Operation("billing", "x", headers=headers))
    described = document([route], "1")["paths"]["/billing/x"]["post"]
    assert described["responses"].keys() == {"200", "401", "403", "429"}
    assert described["security"] == [{"adminToken": []}, *SECURITY]
    assert described["parameters"] == [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "A key.",
        }
    ]


def test_errors_that_follow_from_the_route_are_described() -> None:
    route = ControlRoute("POST", "/admin/x/{id}", "admin", handler, Operation("keys", "x", KeyListQuery, body=NewKey))
    described = document([route], "1")["paths"]["/admin/x/{id}"]["post"]
    assert described["responses"].keys() == {"200", "400", "401", "403", "404", "408", "413", "415", "429", "503"}
    assert described["security"] == [{"adminToken": []}, {"session": []}]
    assert described["parameters"] == [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
