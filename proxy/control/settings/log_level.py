"""Change the log level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.observe.log import Level
from proxy.server.request import Request


class LeveledLog(Protocol):
    """``proxy.observe.log.Log``."""

    def admit(self, level: Level) -> None:
        """Drop lines below this level from now on."""


class LogLevel(Struct, frozen=True, forbid_unknown_fields=True):
    """The lowest level that is logged."""

    level: Level


class LogLevelHandler:
    def __init__(self, log: LeveledLog, bodies: RequestBodies) -> None:
        self._log = log
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation("operator", "Change the log level", LogLevel, body=LogLevel, example={"level": "debug"})
        return (ControlRoute("POST", "/admin/log-level", "admin", self.change, operation),)

    async def change(self, request: Request) -> None:
        """POST /admin/log-level: in force until the next change or reload."""
        wanted = await self._bodies.decode(request, LogLevel)
        self._log.admit(wanted.level)
        send_json(request, 200, wanted)
