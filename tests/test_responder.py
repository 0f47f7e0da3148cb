from __future__ import annotations

from typing import Any, cast

from proxy.routing.endpoints import ENDPOINTS
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


async def test_no_empty_ping_follows_an_event_with_an_id() -> None:
    """Google's ping is a blank line, of which nothing is left then; an empty chunk would end the body."""
    responder = Rig(rivals(1), {}).dispatch("m").responder
    responder.exchange.endpoint = next(each for each in ENDPOINTS if each.path == "streamGenerateContent")
    transport = cast(Any, responder.request).transport
    responder.ping()
    assert transport.written.endswith(b"\r\n1\r\n\n\r\n")
    responder.outlet.numbered = True
    written = transport.written
    responder.ping()
    assert transport.written == written
