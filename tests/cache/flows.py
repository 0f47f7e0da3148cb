"""A gateway with the cache on, and a client for it."""

from __future__ import annotations

from typing import Any

from proxy.cache.cache import ResponseCache
from tests.cache.answers import NOON
from tests.support import Answer, RawClient, Upstream
from tests.support.gateway import Gateway, one_provider, to_config

CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}


def cached(up: Upstream, settings: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    return one_provider(up, cache={"enabled": True} | (settings or {}), **sections)


async def ask(client: RawClient, call: Any = CALL, *lines: tuple[str, str], path: str = CHAT) -> Answer:
    return await client.fetch("POST", path, json=call, headers=list(lines))


def reload(gw: Gateway, source: dict[str, Any]) -> None:
    """Put another configuration in force."""
    config = to_config(source)
    gw.app._adopt(config, gw.app.running._compiled(config, (), None))


def state(answer: Answer) -> str | None:
    return answer.header("x-router-cache")


def text(answer: Answer) -> str:
    return str(answer.json["choices"][0]["message"]["content"])


class Clock:
    """The time of a gateway's cache."""

    def __init__(self, gw: Gateway) -> None:
        self.seconds = NOON
        cache: ResponseCache = gw.app.cache
        cache.keeper._wall = cache.store._wall = self  # type: ignore[attr-defined]

    def __call__(self) -> float:
        return self.seconds
