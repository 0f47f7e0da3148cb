"""Answers that others recorded, of any provider whose dialect can be translated, wherever they lie.

Which dialect an answer has is read from its first event, as the folders are sorted by provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from proxy.wire.sse import Framer, parse
from tests.support.recorded import SHARED, cases

AnswerDialect: TypeAlias = Literal["chat", "messages", "responses", "gemini"]


@dataclass(frozen=True)
class RecordedAnswer:
    """``body``: the bytes of the answer, of an event stream where ``streamed``. ``broken``: it reports an error."""

    name: str
    dialect: AnswerDialect
    streamed: bool
    body: bytes
    broken: bool = False

    def __str__(self) -> str:
        return self.name

    def events(self) -> list[Any]:
        """The events that are JSON; a whole answer is the only one."""
        if not self.streamed:
            return [json.loads(self.body)]
        framer = Framer()
        data = [parse(block).data for block in [*framer.feed(self.body), framer.rest]]
        return [found for each in data if each and (found := _json(each)) is not None]


@cache
def recorded_answers() -> list[RecordedAnswer]:
    """All in a stable order; none where there is no recorded traffic."""
    found = [(str(case), case.streamed, case.response) for case in cases() if case.status == 200]
    found += list(_fixtures(SHARED / "translate"))
    answers = (_answer(*each) for each in found)
    return [each for each in answers if each is not None]


def _fixtures(folder: Path) -> Iterator[tuple[str, bool, bytes]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name.endswith(".chunks.txt"):
            streams = _streams(path.read_text())
            yield from ((f"{name}#{at}" if at else name, True, _framed(lines)) for at, lines in enumerate(streams))
        elif path.suffix == ".sse" or path.parent.name == "text-event-stream":
            yield name, True, path.read_bytes()
        elif path.suffix == ".json" and "request" not in name:
            yield name, False, path.read_bytes()


def _streams(text: str) -> list[list[str]]:
    """The payloads, one a line, of each stream: some files have all answers of a conversation."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if found[-1] and found[-1][-1].startswith(('{"type":"message_stop"', '{"type":"response.completed"')):
            found.append([])
        found[-1] += [line] if line.strip() else []
    return [lines for lines in found if lines]


def _framed(lines: list[str]) -> bytes:
    """Payloads as the events that they were."""
    events: list[str] = []
    for line in lines:
        payload = _json(line.encode())
        kind = payload.get("type") if isinstance(payload, dict) else None
        named = f"event: {kind}\n" if isinstance(kind, str) else ""
        events.append(f"{named}data: {line}\n\n")
    return "".join(events).encode()


def _answer(name: str, streamed: bool, body: bytes) -> RecordedAnswer | None:
    unread = RecordedAnswer(name, "chat", streamed, body)
    if not streamed and _json(body) is None:
        return None
    events = unread.events()
    dialect = next((found for event in events if (found := _dialect(event))), None)
    return replace(unread, dialect=dialect, broken=any(map(_is_error, events))) if dialect else None


def _is_error(event: Any) -> bool:
    return isinstance(event, dict) and bool(event.get("error") or event.get("type") == "error")


def _dialect(event: Any) -> AnswerDialect | None:
    if not isinstance(event, dict):
        return None
    choices = event.get("choices")
    if isinstance(choices, list) and any("delta" in each or "message" in each for each in choices):
        return "chat"
    if isinstance(event.get("candidates"), list):
        return "gemini"
    if event.get("type") in ("message_start", "message"):
        return "messages"
    if event.get("object") == "response" or event.get("type") == "response.created":
        return "responses"
    return None


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
