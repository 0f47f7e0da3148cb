"""Load the configuration file again."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from proxy.control.http.operation import Operation
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig, ReloadResult
from proxy.server.request import Request


class ReloadErrorObject(Struct):
    """OpenAI's error object, with each mistake on a line of its own."""

    message: str
    type: str
    code: str
    mistakes: list[str]
    param: None = None


class ReloadError(Struct):
    """A configuration that cannot be loaded."""

    error: ReloadErrorObject


class ReloadHandler:
    def __init__(self, live: LiveConfig) -> None:
        self._live = live

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation("operator", "Reload the configuration", ReloadResult, answers={409: ReloadError})
        return (ControlRoute("POST", "/admin/reload", "admin", self.run, operation),)

    async def run(self, request: Request) -> None:
        """POST /admin/reload: 200 once it is in force; 409 with every mistake, and the old one stays in force."""
        result = await self._live.reload()
        if result is None:
            send_json(request, 409, _error(["The gateway was started without a configuration file."]))
        elif result.loaded:
            send_json(request, 200, result)
        else:
            send_json(request, 409, _error(result.mistakes))


def _error(mistakes: list[str]) -> ReloadError:
    message = "The configuration cannot be loaded again; the running one is unchanged."
    return ReloadError(ReloadErrorObject(message, "invalid_request_error", "invalid_configuration", mistakes))
