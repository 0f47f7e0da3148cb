"""The described request headers against those that the gateway reads."""

from __future__ import annotations

from typing import get_args

import pytest

from proxy.config.schema import Recovery
from proxy.control.openapi.headers import parameter_components
from proxy.errors import ClientFault
from proxy.wire.criteria import HEADERS, of_headers


def test_the_described_criteria_headers_are_those_that_are_read() -> None:
    assert parameter_components().keys() > HEADERS.keys()
    for header, name in HEADERS.items():
        schema = parameter_components()[header]["schema"]
        example = schema.get("enum", schema.get("examples", ["0" if schema["type"] != "string" else "x"]))[0]
        assert of_headers({header: example}) is not None, name
        with pytest.raises(ClientFault, match=header):
            of_headers({header: "x" * 300})


def test_stream_recovery_has_the_values_of_the_configuration() -> None:
    assert parameter_components()["x-router-stream-recovery"]["schema"]["enum"] == list(get_args(Recovery))
