"""Opens an upstream connection within the timeouts of a call."""

from __future__ import annotations

from proxy.client.connection import UpstreamConnection
from proxy.client.dial import Origin
from proxy.client.pool import ConnectionPool
from proxy.config.timeouts import Clocks
from proxy.errors import ClockExpired
from proxy.net.clocks import NEVER


async def connect(pool: ConnectionPool, origin: Origin, clocks: Clocks, left: float) -> UpstreamConnection:
    """Open a connection within the timeouts ``connect`` and ``total``, and the ``left`` seconds before the deadline.

    Raises ConnectFailed, and ClockExpired with the name of the timeout.
    """
    if left <= 0:
        raise ClockExpired("deadline", 0.0)
    timeout = min(filter(None, (clocks.connect, clocks.total, left if left < NEVER else 0.0)), default=0.0)
    try:
        return await pool.open(origin, timeout)
    except ClockExpired as fault:
        if timeout == clocks.connect:
            raise
        name = "deadline" if timeout == left else "total"
        raise ClockExpired(name, timeout, detail=fault.detail) from None
