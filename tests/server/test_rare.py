"""One pass over the names of a request's headers tells whether a rare one is among them."""

from __future__ import annotations

import pytest

from proxy.dispatch.choice import RECOVERY
from proxy.server.rare import ATTRIBUTION, ATTRIBUTION_WEIGHT, RARE, RARE_WEIGHT, weight_of
from proxy.wire.criteria import HEADERS

USUAL = (b"Host", b"Content-Type", b"Authorization")


def test_headers_that_every_client_sends_weigh_nothing() -> None:
    assert sum(map(weight_of, USUAL)) == 0


@pytest.mark.parametrize(
    "name", sorted({*RARE, *(each.encode() for each in (*HEADERS, RECOVERY, "x-router-decision"))})
)
def test_each_header_that_is_looked_up_for_rare_requests_is_rare_in_any_case(name: bytes) -> None:
    for spelled in (name, name.upper(), name.title()):
        assert weight_of(spelled) == RARE_WEIGHT


@pytest.mark.parametrize("name", sorted(ATTRIBUTION))
def test_headers_of_attribution_make_no_request_rare(name: bytes) -> None:
    for spelled in (name, name.upper(), name.title()):
        assert weight_of(spelled) == ATTRIBUTION_WEIGHT
