"""A gateway with several candidates, each a separate upstream, and a leak check at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.support.clock import FakeClock
from tests.support.gateway import Gateway
from tests.support.lives import at_rest
from tests.support.recorded_ledger import keep_ledger
from tests.support.upstream import Upstream


@asynccontextmanager
async def candidates(
    names: str,
    *,
    prefill: Iterable[str] = (),
    provider: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    per_model: Mapping[str, dict[str, Any]] | None = None,
    routing: dict[str, Any] | None = None,
    **sections: Any,
) -> AsyncIterator[tuple[Gateway, list[Upstream], FakeClock]]:
    """For each letter of ``names`` a model of that name at a provider of that name. The clock is the test's.

    At the end nothing may be in flight, held or leased, and each attempt must have its row. ``provider`` and ``model``
    add to each of them, ``per_model`` to the model of that name, ``prefill`` names models.
    """
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        ups = [await stack.enter_async_context(Upstream()) for _ in names]
        providers = {
            name: {"baseUrl": up.url, "apiKey": f"key-{name}"} | (provider or {})
            for name, up in zip(names, ups, strict=True)
        }
        config = {
            "routing": {"rateLimitRetries": 0} | (routing or {}),
            "providers": providers,
            "models": [
                {"name": name, "provider": name, "model": f"up-{name}", "prefill": name in prefill}
                | (model or {})
                | (per_model or {}).get(name, {})
                for name in names
            ],
        } | sections
        gw = await stack.enter_async_context(Gateway(config, clock=clock))
        _, spool = keep_ledger(gw)
        yield gw, ups, clock
        await at_rest(gw)
        spool.check()
