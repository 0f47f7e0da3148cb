"""Which errors a stale answer replaces."""

from __future__ import annotations

import pytest

from proxy.cache.refusals import is_provider_fault
from proxy.errors import (
    BudgetExceeded,
    ClientFault,
    GatewayError,
    Overloaded,
    RateLimited,
    ShuttingDown,
    UpstreamFault,
)


@pytest.mark.parametrize(
    ("fault", "stale"),
    [
        (UpstreamFault("x", status=502), True),
        (UpstreamFault("x", status=429), True),
        (Overloaded("x"), True),
        (UpstreamFault("x", status=404), False),
        (ClientFault("x", status=500), False),
        (RateLimited("model", "tokensPerMinute", retry_after=1), False),
        (BudgetExceeded("x"), False),
        (ShuttingDown("x"), False),
        (GatewayError("x", status=500), False),
    ],
)
def test_which_errors_a_stale_answer_replaces(fault: GatewayError, stale: bool) -> None:
    assert is_provider_fault(fault) is stale
