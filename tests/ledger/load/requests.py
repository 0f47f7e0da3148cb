"""The requests of the callers, and the configuration of the gateway."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.ledger.load.prices import ANTHROPIC, PROVIDERS, name_of, prices_of

HEAD = (
    b"POST /v1/%b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nx-request-id: load-%d\r\n"
    b"%bContent-Length: %d\r\n\r\n"
)
LEAVES_AFTER = 0.01  # seconds without an answer
MOST_OUTPUT = 50  # tokens of an answer to ``messages``


class LoadRequest(NamedTuple):
    """``leaves``: the client disconnects at the first bytes, or after ``LEAVES_AFTER``."""

    data: bytes
    leaves: bool


class Requests:
    """Endless requests of all kinds, numbered from ``first``. ``headers``: lines that they have in turn."""

    def __init__(self, seed: int, first: int = 1, headers: Sequence[bytes] = (b"",)) -> None:
        self.next = first
        self._headers = headers
        self._dice = random.Random(seed)
        self._kinds = [(*kind, weight) for kind, weight in _kinds()]
        self._weights = [weight for *_, weight in self._kinds]
        self._drawn: list[tuple[bytes, bytes, bool, int]] = []

    def take(self) -> LoadRequest:
        if not self._drawn:
            self._drawn = self._dice.choices(self._kinds, self._weights, k=1000)
        path, body, leaves, _ = self._drawn.pop()
        number = self.next
        self.next += 1
        lines = self._headers[number % len(self._headers)]
        return LoadRequest(HEAD % (path, number, lines, len(body)) + body, leaves)


def _kinds() -> list[tuple[tuple[bytes, bytes, bool], int]]:
    found = []
    for model, weight in [(b"m", 30), *((name_of(n).encode() + b"/m", 4) for n in range(PROVIDERS))]:
        for leaves, share in ((False, 30), (True, 1)):
            word = b"leave" if leaves else b"Hello"
            for stream, option in (
                (b"false", b""),
                (b"true", b""),
                (b"true", b',"stream_options":{"include_usage":true}'),
            ):
                chat = b'{"model":"%b","stream":%b%b,"messages":[{"role":"user","content":"%b"}]}'
                found.append(((b"chat/completions", chat % (model, stream, option, word), leaves), 4 * share * weight))
            for stream in (b"false", b"true"):
                messages = b'{"model":"%b","stream":%b,"max_tokens":%d,"messages":[{"role":"user","content":"%b"}]}'
                found.append(((b"messages", messages % (model, stream, MOST_OUTPUT, word), leaves), share * weight))
    found.append(((b"embeddings", b'{"model":"e","input":"Hello"}', False), 30 * 400))
    return found


def configuration(urls: Sequence[str], **sections: Any) -> dict[str, Any]:
    """``urls``: of the providers. Each serves ``m``; those of OpenAI's dialects embeddings, too."""
    providers, models = {}, []
    for index, url in enumerate(urls):
        kind = "anthropic" if index in ANTHROPIC else "openai"
        providers[name_of(index)] = {"baseUrl": url, "kind": kind, "apiKey": f"key-{index}"}
        prices = prices_of(index)
        same = {"provider": name_of(index)} | ({} if prices is None else {"prices": prices})
        models.append({"name": "m", "model": f"u{index}", "type": "chat"} | same)
        if kind == "openai":
            models.append({"name": "e", "model": f"e{index}", "type": "embedding"} | same)
    return {
        "providers": providers,
        "models": models,
        "timeouts": {"connect": 5, "headers": 1.5, "firstContent": 1.5, "idle": 1, "total": 2.5},
        "routing": {"maxRetries": 3, "rateLimitRetries": 1, "retryDelay": 5, "hedgeAfterMs": 400},
        "circuitBreaker": {"failureThreshold": 1_000_000},
        "logging": {"level": "warning"},
    } | sections
