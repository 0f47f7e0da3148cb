"""A provider of three APIs that calls a tool of the client, and repeats what the tool found.

    async with Upstream() as up:
        up.on(Provider("the-key", {"/messages": MessagesApi()}, tools={"Read": {"file_path": "/a/file"}}))

The first answer calls the first of ``tools`` that the request declares. The answer to the tool's result says the
``SECRET`` that stands in it, so a client that prints the secret has sent the result back. It refuses what the real ones
refuse: a wrong key, and a reasoning block that does not come back as it was sent.

What goes wrong first: requests get the statuses ``faults``, and after the first piece of a text the stream ends (``cuts``
times), or there is an error in it (``breaks`` times). If it ``loops``, it calls the tool again after each result. With ``pauses`` a stream waits for these events: before its
head, and after the first piece of its text.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.support.answers import json_answer, sse_answer
from tests.support.steps import Close, Script, Signal, Wait
from tests.support.upstream import Request

SECRET = re.compile(r"secret-[0-9a-f]{16}")
# The opaque parts of an answer, which the client has to send back unchanged with the tool's result. Base64, as Google's.
SIGNATURE = "c2lnbmF0dXJlK29mL3RoZStwcm92aWRlci8="
PIECES = 4  # of a text in a stream
TEXT = "It says "  # within the first of them
NOTHING = f"{TEXT}nothing, as no tool can read it."
BROKEN = "Broken on purpose."


@dataclass
class Asked:
    """What a request asks for."""

    model: str
    streamed: bool
    tools: tuple[str, ...]
    results: str  # of tools, after the last answer; ``""`` if there are none
    signed: bool  # whether the answer before the results has its SIGNATURE
    reasons: bool  # whether the client wants reasoning


class Api(ABC):
    """Requests and answers of one API. ``usage`` is that of each answer, as the gateway counts it."""

    usage: ClassVar[dict[str, int | None]]

    @abstractmethod
    def key(self, request: Request) -> str | None:
        """The credential in the request."""

    @abstractmethod
    def read(self, request: Request) -> Asked: ...

    @abstractmethod
    def calls(self, asked: Asked, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A whole answer that calls a tool, after some signed reasoning if the client wants that."""

    @abstractmethod
    def says(self, asked: Asked, text: str) -> dict[str, Any]:
        """A whole answer of text."""

    @abstractmethod
    def events(self, answer: dict[str, Any]) -> list[bytes]:
        """A whole answer as a stream."""

    @abstractmethod
    def error(self, status: int, message: str) -> dict[str, Any]:
        """The body of an error response."""

    @abstractmethod
    def error_event(self, message: str) -> bytes:
        """An error of the provider within a stream."""


@dataclass
class Provider:
    """Answers requests by their path."""

    credential: str
    apis: dict[str, Api]  # by the end of the path, without a query
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    cuts: int = 0
    breaks: int = 0
    loops: bool = False
    pauses: tuple[asyncio.Event, asyncio.Event] | None = None
    paused: asyncio.Event = field(default_factory=asyncio.Event)  # set at the second pause

    def __call__(self, request: Request) -> Script:
        path = request.target.partition("?")[0]
        api = next((api for end, api in self.apis.items() if path.endswith(end)), None)
        if api is None:
            self.refused.append(f"{request.method} {path}: unknown path")
            return json_answer({"error": {"message": "Unknown path"}}, 404)
        if api.key(request) != self.credential:
            return self._refuse(api, 401, f"{path}: the credential is {api.key(request)}")
        if self.faults:
            status = self.faults.pop(0)
            return json_answer(api.error(status, BROKEN), status)
        asked = api.read(request)
        self.asked.append(asked)
        if asked.results and not asked.signed and not self.loops:  # then there are signatures of several answers
            return self._refuse(api, 400, "the reasoning before the tool's result is not what was sent")
        answer = self._answer(api, asked)
        if self.loops:
            answer = _numbered(answer, len(self.asked))
        if not asked.streamed:
            return json_answer(answer)
        return self._stream(api, api.events(answer))

    def _stream(self, api: Api, events: list[bytes]) -> Script:
        first = next((at for at, event in enumerate(events) if TEXT.encode() in event), None)
        if first is None:
            return sse_answer(*events)
        begun, rest = events[: first + 1], events[first + 1 :]
        if self.cuts:
            self.cuts -= 1
            return [*sse_answer(*begun)[:-1], Close()]
        if self.breaks:
            self.breaks -= 1
            return sse_answer(*begun, api.error_event(BROKEN))
        if self.pauses:
            start, middle = (Wait(event) for event in self.pauses)
            return [start, *sse_answer(*begun)[:-1], Signal(self.paused), middle, *sse_answer(*rest)[1:]]
        return sse_answer(*events)

    def _answer(self, api: Api, asked: Asked) -> dict[str, Any]:
        if asked.results and not self.loops:
            found = SECRET.search(asked.results)
            return api.says(asked, f"{TEXT}{found[0]} in there." if found else f"No secret: {asked.results}")
        for name, arguments in self.tools.items():
            if name in asked.tools:
                return api.calls(asked, name, arguments)
        return api.says(asked, NOTHING)

    def _refuse(self, api: Api, status: int, reason: str) -> Script:
        self.refused.append(reason)
        return json_answer(api.error(status, reason), status)


def _numbered(value: Any, number: int) -> Any:
    """The same with other identifiers: clients join messages that have the same one."""
    if isinstance(value, list):
        return [_numbered(each, number) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: f"{each}{number}" if name in ("id", "call_id") else _numbered(each, number)
        for name, each in value.items()
    }


def pieces(text: str) -> Iterable[str]:
    """The text in at most PIECES pieces."""
    size = max(-(-len(text) // PIECES), 1)
    return (text[at : at + size] for at in range(0, len(text), size))
