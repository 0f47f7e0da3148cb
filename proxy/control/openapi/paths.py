"""The paths of the control plane, out of its table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from proxy.control.http.router import Route
from proxy.control.openapi import faults
from proxy.control.openapi.operation import JSON, Operation
from proxy.control.openapi.schemas import Schemas, parameters

FORM = "application/x-www-form-urlencoded"

_PARAMETER = re.compile(r"\{\+?(\w+)\}")
_SEPARATOR = re.compile(r"[^A-Za-z0-9]+")
_BODY_ERRORS = (400, 408, 413, 415, 503)


def paths(routes: Iterable[Route], schemas: Schemas) -> dict[str, Any]:
    """Of routes with the same method and path the last counts, as it does for the router."""
    found: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.operation is not None:
            path = found.setdefault(route.path.replace("{+", "{"), {})
            path[route.method.lower()] = _operation(route, route.operation, schemas)
    return found


def _operation(route: Route, told: Operation, schemas: Schemas) -> dict[str, Any]:
    given = _parameters(route, told)
    return {
        "tags": [told.tag],
        "operationId": _SEPARATOR.sub("_", f"{route.method.lower()}{route.path}").strip("_"),
        "summary": told.summary,
        **({"description": told.notes} if told.notes else {}),
        "security": _security(route),
        **({"parameters": given} if given else {}),
        **({"requestBody": _body(told, schemas)} if told.body is not None else {}),
        "responses": _responses(route, told, schemas),
    }


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.wants == "open":
        return []
    session: list[dict[str, list[str]]] = [{"session": []}] if route.path.startswith("/admin/") else []
    return [{"adminToken": []}, *session]


def _parameters(route: Route, told: Operation) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    return path + (parameters(told.query) if told.query is not None else [])


def _body(told: Operation, schemas: Schemas) -> dict[str, Any]:
    kinds = (JSON, FORM) if told.form else (JSON,)
    content = {"schema": schemas.of(told.body)} | ({"example": told.example} if told.example is not None else {})
    return {"required": not told.optional, "content": dict.fromkeys(kinds, content)}


def _responses(route: Route, told: Operation, schemas: Schemas) -> dict[str, Any]:
    good = {told.status: _good(told, schemas)}
    others = {status: _answer("It could not be done.", kind, schemas) for status, kind in told.answers.items()}
    answers = {str(status): answer for status, answer in (good | others).items()}
    return faults.refer(_errors(route, told)) | answers


def _good(told: Operation, schemas: Schemas) -> dict[str, Any]:
    if told.answer is not None:
        return _answer("As told.", told.answer, schemas)
    events = {name: schemas.of(kind) for name, kind in told.events.items()}
    more = {"x-events": events} if events else {}
    content: dict[str, Any] = {kind: {} for kind in told.media}
    return {"description": "Done." if not content else "As told.", **({"content": content} if content else {}), **more}


def _answer(text: str, kind: Any, schemas: Schemas) -> dict[str, Any]:
    return {"description": text, "content": {JSON: {"schema": schemas.of(kind)}}}


def _errors(route: Route, told: Operation) -> list[int | str]:
    """What follows from the route, beside what it says itself."""
    found: list[int | str] = list(told.errors)
    if route.wants == "admin":
        found += (401, 429) if route.method == "GET" else (401, 403, 429)
    if "{" in route.path:
        found.append(404)
    if told.query is not None:
        found.append(400)
    if told.body is not None:
        found += _BODY_ERRORS
    return found
