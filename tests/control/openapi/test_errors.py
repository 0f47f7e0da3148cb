"""The described error body against the errors that the gateway sends."""

from __future__ import annotations

import msgspec
import pytest

from proxy.control.openapi.errors import API_ERRORS, Error, error_references
from proxy.dialects.table import CHAT
from proxy.errors import ClientFault, GatewayError, Overloaded, RateLimited, Unauthorized


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
def test_errors_have_the_described_shape(fault: GatewayError) -> None:
    body = CHAT.writer.error_body(fault)
    assert msgspec.json.encode(msgspec.json.decode(body, type=Error)) == body
    assert str(fault.status) in error_references(API_ERRORS) or fault.status // 100 == 5
