"""Cached answers for tests."""

from __future__ import annotations

from typing import Any

from proxy.cache.base import AnswerFacts, CachedAnswer

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
    return CachedAnswer(body, AnswerFacts(**(known | facts)), at, 1000, 7, 5)
