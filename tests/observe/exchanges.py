"""Exchanges that ended, as the gateway settles them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from proxy.breakers.breaker import Permit
from proxy.dialects.usage import Usage
from proxy.exchange import Attempt, Exchange
from proxy.providers.keys import KeyRing
from proxy.routing.endpoints import ENDPOINTS
from tests.support.catalogs import build

if TYPE_CHECKING:
    from proxy.routing.catalog import Catalog

DEPLOYMENT = ("openrouter", "deepseek/deepseek-r1:free")


def settled(**facts: Any) -> Exchange:
    """A stream that went well; ``facts`` replace its fields."""
    exchange = Exchange(ENDPOINTS[0], cast("Catalog", None), "req-1", began=100.0)
    exchange.client = "127.0.0.1"
    exchange.model = "deepseek-r1"
    exchange.provider, exchange.request_model = DEPLOYMENT
    exchange.stream = True
    exchange.status = 200
    exchange.outcome = "ok"
    exchange.first_content = 100.25
    exchange.longest_gap = 0.125
    exchange.ended = 103.0
    exchange.bytes_in = 300
    exchange.bytes_out = 5000
    exchange.usage = Usage(input=10, cache_read=20, output=30, reasoning=None)
    for name, value in facts.items():
        setattr(exchange, name, value)
    return exchange


def attempt_of(began: float, ended: float | None, failure: str = "") -> Attempt:
    """One at the provider of ``DEPLOYMENT``."""
    name, model = DEPLOYMENT
    providers = {name: {"baseUrl": "http://127.0.0.1:1"}}
    [deployment] = build([{"name": "deepseek-r1", "provider": name, "model": model}], providers).deployments
    key = KeyRing(()).take(0.0)
    assert key is not None
    return Attempt(deployment, Permit.NORMAL, key, began, ended=ended, failure=failure)


def refused(code: str, status: int) -> Exchange:
    """An exchange that ended before any attempt."""
    return settled(
        provider="",
        request_model="",
        outcome="error",
        error=code,
        status=status,
        attempts=[],
        first_content=None,
        usage=None,
    )
