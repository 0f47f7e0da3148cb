"""Recorded provider traffic from outside the repository: real bytes, real network chunks.

Found through SLUICE_SHARED, default ``<repository>/../shared``. Without it the tests that need it are skipped.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

SHARED = Path(os.environ.get("SLUICE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
MISSING = f"no recorded traffic at {SHARED} (set SLUICE_SHARED)"


@dataclass(frozen=True)
class Case:
    """One recorded exchange; its files are read lazily."""

    provider: str
    name: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}"

    @cached_property
    def meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = json.loads(self._bytes("meta.json"))
        return meta

    @cached_property
    def status(self) -> int:
        return int(self._head["status"])

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """As recorded; see ``replay_headers`` for those that fit a decoded body."""
        return [(name, value) for name, value in self._head["headers"]]

    @property
    def replay_headers(self) -> list[tuple[str, str]]:
        """Without the headers that describe the recorded framing and encoding."""
        framing = {"content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive"}
        return [(name, value) for name, value in self.headers if name.lower() not in framing]

    @cached_property
    def request(self) -> bytes:
        """The request body; ``b""`` where none was recorded."""
        return self._bytes("request.json") or self._bytes("request.body")

    @cached_property
    def response(self) -> bytes:
        """The response body, content encoding removed."""
        return (self.folder / self.meta["body_file"]).read_bytes()

    @cached_property
    def raw_gzip(self) -> bytes:
        """The compressed body as it crossed the wire; ``b""`` where it was not kept."""
        return self._bytes("response.raw.gz")

    @cached_property
    def chunks(self) -> list[bytes]:
        """The network chunks; where they were not recorded, one chunk."""
        recorded = self._bytes("chunks.json")
        if not recorded:
            return [self.response]
        return [base64.b64decode(chunk) for chunk in json.loads(recorded)]

    @property
    def framed(self) -> bool:
        """Whether ``chunks`` are the real ones."""
        return (self.folder / f"{self.name}.chunks.json").exists()

    @property
    def streamed(self) -> bool:
        return str(self.meta["body_file"]).endswith(".sse")

    @property
    def path(self) -> str:
        """Path and query of the recorded request as they were, e.g. ``/v1/chat/completions``; ``""``: not recorded."""
        return re.sub(r"^(https?://[^/]*|<\w+>)", "", str(self.meta["url"]))

    @cached_property
    def _head(self) -> dict[str, Any]:
        head: dict[str, Any] = json.loads(self._bytes("response.headers.json"))
        return head

    def _bytes(self, kind: str) -> bytes:
        path = self.folder / f"{self.name}.{kind}"
        return path.read_bytes() if path.exists() else b""


def cases(provider: str = "*", name: str = "*") -> list[Case]:
    """All cases in a stable order, or those that match the patterns; empty where there is no recorded traffic."""
    found = sorted((SHARED / "wire").glob(f"{provider}/{name}.meta.json"))
    return [Case(path.parent.name, path.name.removesuffix(".meta.json"), path.parent) for path in found]


def framing_cases() -> list[dict[str, Any]]:
    """``sse_cases.json``, its chunks decoded to bytes; empty where there is no recorded traffic."""
    path = SHARED / "wire" / "sse_cases.json"
    if not path.exists():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_bytes())
    return [case | {"chunks": [base64.b64decode(chunk) for chunk in case["chunks"]]} for case in found]
