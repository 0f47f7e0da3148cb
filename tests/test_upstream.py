"""What a reload changes of the way to providers."""

from __future__ import annotations

from tests.support import Upstream
from tests.support.gateway import Gateway, one_provider, to_config


async def test_a_reload_changes_how_long_slow_clients_are_waited_for() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        changed = to_config(one_provider(up, timeouts={"clientStall": 7}))
        gw.app.upstream.adopt(changed, gw.app.running.catalog)
        assert gw.app.upstream.flushing.client_stall == 7
