"""Recorded streams and answers of the Messages API; empty lists where there is no recorded traffic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from tests.support.recorded import SHARED, cases


class Stream(NamedTuple):
    name: str
    body: bytes

    def __str__(self) -> str:
        return self.name


def framed(path: Path) -> bytes:
    """A fixture with one document in a line, as the event stream that it was."""
    documents = [line for line in path.read_text().splitlines() if line.strip()]
    return b"".join(f"event: {json.loads(text)['type']}\ndata: {text}\n\n".encode() for text in documents)


def found(pattern: str) -> list[Path]:
    return sorted((SHARED / "translate").glob(pattern))


RECORDED = [*cases("anthropic"), *cases("gemini", "vertex-anthropic*"), *cases("composed", "anthropic*")]
FIXTURES = "vercel-ai/packages/anthropic/src/__fixtures__/"
STREAMS = [
    *(Stream(str(case), case.response) for case in RECORDED if case.streamed),
    *(Stream(path.name, framed(path)) for path in found(FIXTURES + "*.chunks.txt")),
    *(Stream(path.name, path.read_bytes()) for path in found("apisix/t/fixtures/anthropic/*.sse")),
]
ANSWERS = [
    *(Stream(str(case), case.response) for case in RECORDED if not case.streamed and case.status == 200),
    *(Stream(path.name, path.read_bytes()) for path in found(FIXTURES + "*.json")),
    *(Stream(path.name, path.read_bytes()) for path in found("apisix/t/fixtures/anthropic/*.json")),
]
BROKEN = "composed/anthropic-overloaded-midstream"  # ends with the provider's own error
WHOLE = [stream for stream in STREAMS if stream.name != BROKEN]
