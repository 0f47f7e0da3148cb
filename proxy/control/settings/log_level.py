"""The route of the log's level."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from proxy.control.http.bodies import Bodies
from proxy.control.http.replies import send
from proxy.control.http.requests import body_of
from proxy.observe.log import Level
from proxy.server.connection import Request


class LogLevel(Struct, frozen=True, forbid_unknown_fields=True):
    level: Level


class LogLevels:
    """``admit`` is the log's."""

    def __init__(self, admit: Callable[[Level], None], bodies: Bodies) -> None:
        self._admit = admit
        self._bodies = bodies

    async def change(self, request: Request) -> None:
        """POST /admin/log-level: until it is changed again, or the configuration is loaded again."""
        wanted = await body_of(self._bodies, request, LogLevel)
        self._admit(wanted.level)
        send(request, 200, wanted)
