"""One pass over the names of a request's headers tells whether a rare one is among them."""

from __future__ import annotations

import pytest

from proxy.dispatch.choice import RECOVERY
from proxy.server.rare import RARE, has_rare
from proxy.wire.criteria import HEADERS

USUAL = [(b"Host", b"localhost"), (b"Content-Type", b"application/json"), (b"Authorization", b"Bearer any")]


def test_headers_that_every_client_sends_are_not_rare() -> None:
    assert not has_rare(USUAL)
    assert not has_rare([])


@pytest.mark.parametrize(
    "name", sorted({*RARE, *(each.encode() for each in (*HEADERS, RECOVERY, "x-router-decision"))})
)
def test_each_header_that_is_looked_up_for_rare_requests_is_rare_in_any_case(name: bytes) -> None:
    for spelled in (name, name.upper(), name.title()):
        assert has_rare([*USUAL, (spelled, b"")])
        assert has_rare([(spelled, b""), *USUAL])
