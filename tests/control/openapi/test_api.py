"""The description of the model API against the table of endpoints."""

from __future__ import annotations

from proxy.control.openapi.api import api_paths
from proxy.routing.endpoints import ENDPOINTS


def test_every_endpoint_is_described() -> None:
    paths = api_paths()
    for endpoint in ENDPOINTS:
        operation = paths[f"/v1/{endpoint.alias or endpoint.path}"]["post"]
        assert ("text/event-stream" in operation["responses"]["200"]["content"]) == endpoint.streams
        (content,) = operation["requestBody"]["content"]
        assert content == ("multipart/form-data" if endpoint.body == "multipart" else "application/json")
    assert {"/v1/models", "/v1/models/{model}"} < paths.keys()
