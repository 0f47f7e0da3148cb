"""The description of the model API against the table of endpoints."""

from __future__ import annotations

from proxy.control.openapi.api import api_paths
from proxy.routing.endpoints import ENDPOINTS


def test_every_endpoint_is_described() -> None:
    paths = api_paths()
    for endpoint in ENDPOINTS:
        base = "/v1beta/models/{model}:" if endpoint.in_path else "/v1/"
        operation = paths[f"{base}{endpoint.alias or endpoint.path}"]["post"]
        in_path = [each["name"] for each in operation["parameters"] if each.get("in") == "path"]
        assert in_path == (["model"] if endpoint.in_path else [])
        assert ("text/event-stream" in operation["responses"]["200"]["content"]) == endpoint.streams
        (content,) = operation["requestBody"]["content"]
        assert content == ("multipart/form-data" if endpoint.body == "multipart" else "application/json")
    assert {"/v1/models", "/v1/models/{model}"} < paths.keys()
