"""The route that loads the configuration again, and what is told of it, whoever set it off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from proxy.control.http.replies import send
from proxy.server.connection import Request


class Reloaded(Struct, rename="camel"):
    """What became of it; also the event ``reload``. Of one that was not ``loaded`` nothing is in force.

    ``why`` says what set it off; ``waitsForStart`` are the changed keys that are looked at when the process starts.
    """

    loaded: bool
    why: str = ""
    notices: list[str] = []
    mistakes: list[str] = []
    waits_for_start: list[str] = []


class Refusal(Struct):
    """OpenAI's error object, with each mistake as a line of its own."""

    message: str
    type: str
    code: str
    mistakes: list[str]
    param: None = None


class Refused(Struct):
    error: Refusal


class Reload:
    """``again`` loads it; ``None``: there is no file to load it from."""

    def __init__(self, again: Callable[[], Awaitable[Reloaded]] | None) -> None:
        self._again = again

    async def run(self, request: Request) -> None:
        """POST /admin/reload: 200 when it is in force, 409 with every mistake when it cannot be."""
        if self._again is None:
            send(request, 409, _refused(["The gateway was started without a file of its configuration."]))
            return
        found = await self._again()
        send(request, *((200, found) if found.loaded else (409, _refused(found.mistakes))))


def _refused(mistakes: list[str]) -> Refused:
    message = "The configuration cannot be loaded again; what runs stays."
    return Refused(Refusal(message, "invalid_request_error", "invalid_configuration", mistakes))
