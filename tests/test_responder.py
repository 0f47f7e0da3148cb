from __future__ import annotations

from typing import Any, cast

from tests.dispatch.rig import Rig
from tests.support.catalogs import rivals


async def test_no_ping_follows_the_end_of_a_response() -> None:
    """The ping timer is stopped one loop iteration after the response ends."""
    responder = Rig(rivals(1), {}).dispatch("m").responder
    transport = cast(Any, responder.request).transport
    responder.ping()
    assert transport.written.endswith(b": ping\n\n\r\n")
    responder.outlet.end()
    responder.ping()
    assert transport.written.endswith(b"0\r\n\r\n")
