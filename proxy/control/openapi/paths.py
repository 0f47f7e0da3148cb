"""The paths of the control plane, from its table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from proxy.control.http.operation import JSON, Operation
from proxy.control.http.router import ControlRoute
from proxy.control.openapi.api import SECURITY
from proxy.control.openapi.errors import error_references
from proxy.control.openapi.schemas import Schemas, query_parameters

FORM: Final = "application/x-www-form-urlencoded"

_PARAMETER = re.compile(r"\{\+?(\w+)\}")
_SEPARATOR = re.compile(r"[^A-Za-z0-9]+")
_BODY_ERRORS: Final = (400, 408, 413, 415, 503)


def control_paths(routes: Iterable[ControlRoute], schemas: Schemas) -> dict[str, Any]:
    """A Paths Object. Of routes with the same method and path the last counts, as for the router."""
    found: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.operation is not None:
            path = found.setdefault(route.path.replace("{+", "{"), {})
            path[route.method.lower()] = _operation_object(route, route.operation, schemas)
    return found


def _operation_object(route: ControlRoute, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    parameters = _parameters(route, operation)
    return {
        "tags": [operation.tag],
        "operationId": _SEPARATOR.sub("_", f"{route.method.lower()}{route.path}").strip("_"),
        "summary": operation.summary,
        **({"description": operation.notes} if operation.notes else {}),
        "security": _security(route),
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": _request_body(operation, schemas)} if operation.body is not None else {}),
        "responses": _responses(route, operation, schemas),
    }


def _security(route: ControlRoute) -> list[dict[str, list[str]]]:
    if route.credential == "open":
        return []
    if route.credential == "client":
        return SECURITY
    if route.credential == "either":
        return [{"adminToken": []}, *SECURITY]
    session: list[dict[str, list[str]]] = [{"session": []}] if route.path.startswith("/admin/") else []
    return [{"adminToken": []}, *session]


def _parameters(route: ControlRoute, operation: Operation) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    headers = [
        {"name": name, "in": "header", "required": False, "schema": schema, "description": text}
        for name, (schema, text) in operation.headers.items()
    ]
    return path + (query_parameters(operation.query) if operation.query is not None else []) + headers


def _request_body(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    kinds = (JSON, FORM) if operation.form else (JSON,)
    example = {"example": operation.example} if operation.example is not None else {}
    content = {"schema": schemas.of(operation.body), **example}
    return {"required": not operation.optional, "content": dict.fromkeys(kinds, content)}


def _responses(route: ControlRoute, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    success = {operation.status: _success(operation, schemas)}
    others = {status: _json_response("It failed.", kind, schemas) for status, kind in operation.answers.items()}
    responses = {str(status): response for status, response in (success | others).items()}
    return error_references(_errors(route, operation)) | responses


def _success(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {kind: {} for kind in operation.media}
    if operation.answer is not None:
        content[JSON] = {"schema": schemas.of(operation.answer)}
    events = {name: schemas.of(kind) for name, kind in operation.events.items()}
    return {
        "description": "Success.",
        **({"content": content} if content else {}),
        **({"x-events": events} if events else {}),
    }


def _json_response(text: str, kind: Any, schemas: Schemas) -> dict[str, Any]:
    return {"description": text, "content": {JSON: {"schema": schemas.of(kind)}}}


def _errors(route: ControlRoute, operation: Operation) -> list[int | str]:
    """The errors that the operation lists, and those that follow from its route."""
    found: list[int | str] = list(operation.errors)
    if route.credential == "admin":
        found += (401, 429) if route.method == "GET" else (401, 403, 429)
    elif route.credential == "client":
        found.append(401)
    elif route.credential == "either":
        found += (401, 403, 429)
    if "{" in route.path:
        found.append(404)
    if operation.query is not None:
        found.append(400)
    if operation.body is not None:
        found += _BODY_ERRORS
    return found
