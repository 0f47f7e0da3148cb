"""Cached answers for tests, and what their copy is made of."""

from __future__ import annotations

from typing import Any

from proxy.cache.base import AnswerFacts, CachedAnswer, extra_of
from proxy.exchange import Exchange
from proxy.routing.endpoints import ENDPOINTS
from proxy.server.outlet import OutletWrapper

KEY = bytes(range(32))
OTHER = bytes(32)
NOON = 1_800_000_000.0


def answer_of(
    body: bytes = b'{"id":"1"}', *, at: float = NOON, ttl: float = 60.0, stale: float = 0.0, **facts: Any
) -> CachedAnswer:
    known: dict[str, Any] = {
        "stream": False,
        "content_type": b"application/json",
        "lines": b"",
        "model": "m",
        "provider": "up",
        "name": "m",
        "upstream_model": "up-model",
        "response_model": "up-model-1",
        "tags": (),
        "ttl": ttl,
        "stale": stale,
    }
    known |= facts
    extra = extra_of(known["model"], known["response_model"], known["lines"], known["tags"])
    return CachedAnswer(body, AnswerFacts(**known, extra=extra), at, 1000, 7, 5)


class Sink(OutletWrapper):
    """A client that remembers what it got."""

    def __init__(self, frames: bool = True) -> None:
        self.written: list[Any] = []
        self.frames = frames

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        self.written.append(body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        self.written.append(first)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def for_frames(self) -> Any:
        return self.written.append if self.frames else None

    def end(self, last: bytes = b"") -> None:
        self.written.append(last)

    def break_off(self, fault: object, last: bytes) -> None:
        self.written.append(last)

    def lose(self, fault: object) -> None:
        self.written.append("lost")

    def abort(self) -> None:
        self.written.append("aborted")


def exchange_of(path: str) -> Exchange:
    endpoint = next(each for each in ENDPOINTS if each.path == path)
    return Exchange(endpoint, None, "r", 0.0)  # type: ignore[arg-type]
