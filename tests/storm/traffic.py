"""The requests of the clients, and the configuration of the gateway."""

from __future__ import annotations

import random
from typing import Any

from msgspec import Struct

from tests.storm.bills import prices_of

GHOSTS = 8  # models that their provider does not have
VAULTS = 6  # providers that reject all keys but the last; every other one rejects that too
KEYS = 3
UPSTREAM = {"one/m": "m-one", "two/m": "m-two"}  # upstream names of models that are configured under another name


class PlannedRequest(Struct, frozen=True):
    """One request. ``leaves``: seconds until the client disconnects, ``None``: never."""

    name: str  # its x-request-id
    path: str
    body: dict[str, Any]
    headers: list[tuple[str, str]]
    leaves: float | None

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """Whether it requests a usage event."""
        return "stream_options" in self.body


def vault_accepts(number: int) -> bool:
    """Whether this provider accepts its last key."""
    return number % 2 == 1


def configuration(one: str, two: str, healthy: str, vault: str, dead: str, hedge: int) -> dict[str, Any]:
    """All but the last are base URLs."""
    vaults = {
        f"vault{n}": {"baseUrl": f"{vault}/{n}", "apiKeys": [f"key-{n}-{k}" for k in range(KEYS)]}
        for n in range(VAULTS)
    }
    aside = {"weight": 0.0}  # ``auto`` selects them last
    return {
        "server": {"pingAfter": 0.3},
        # Long enough for a busy machine: no timeout may expire before a provider read the request.
        "timeouts": {"connect": 5, "headers": 1.5, "firstContent": 2, "idle": 1.5, "total": 3},
        "providers": {
            "one": {"baseUrl": one, "apiKeys": ["key-a", "key-b"]},
            "two": {"baseUrl": two},
            "healthy": {"baseUrl": healthy},
            "dead": {"baseUrl": dead},
            **vaults,
        },
        "models": [
            {"name": "m", "provider": "one", "model": "m-one", "contextSize": 1000, "maxConcurrent": 60}
            | {"prices": prices_of("one")},
            {"name": "m", "provider": "two", "model": "m-two", "contextSize": 2000, "prefill": True}
            | {"prices": prices_of("two")},
            {"name": "solid", "provider": "healthy", "contextSize": 100_000, "weight": 0.2, "prefill": True}
            | {"prices": prices_of("healthy")},
            {"name": "nowhere", "provider": "dead", **aside},
            *({"name": f"ghost{n}", "provider": "one", "prices": prices_of("one"), **aside} for n in range(GHOSTS)),
            *({"name": f"vault{n}", "provider": f"vault{n}", **aside} for n in range(VAULTS)),
        ],
        "routing": {
            "maxRetries": 3,
            "rateLimitRetries": 2,
            "retryDelay": 10,
            "hedgeAfterMs": hedge,
            "fallback": {"provider": "healthy", "model": "solid"},
        },
        "circuitBreaker": {"failureThreshold": 5, "cooldownPeriodSecs": 0.01, "successThreshold": 1},
    }


def planned_requests(count: int, seed: int) -> list[PlannedRequest]:
    dice = random.Random(seed)
    return [_planned(f"storm{seed}-{number:05d}", dice) for number in range(count)]


def _planned(name: str, dice: random.Random) -> PlannedRequest:
    path, body = _call(name, dice)
    if (model := _model(dice)) is not None:
        body["model"] = model
    if dice.random() < 0.03:
        body["min_context_size"] = dice.choice([1500, 50_000, 10_000_000])  # no model satisfies the last
    headers = [("x-request-id", name)]
    if dice.random() < 0.25:
        headers.append(("Expect", "100-continue"))
    if body.get("stream"):
        if dice.random() < 0.2:
            headers.append(("x-router-metadata", "true"))
        if (recovery := dice.choices(["", "hold", "continue"], [8, 1, 1])[0]) != "":
            headers.append(("x-router-stream-recovery", recovery))
    leaves = dice.choice([0.0, 0.002, 0.01, 0.05, 0.2, 0.6]) if dice.random() < 0.08 else None
    return PlannedRequest(name, path, body, headers, leaves)


def _call(name: str, dice: random.Random) -> tuple[str, dict[str, Any]]:
    match dice.choices(["stream", "chat", "completions", "embeddings", "responses"], [35, 20, 15, 12, 18])[0]:
        case "stream":
            messages = [{"role": "user", "content": name}]
            return "chat/completions", {"messages": messages, "stream": True, **_usage(dice)}
        case "chat":
            return "chat/completions", {"messages": [{"role": "user", "content": name}]}
        case "completions":
            stream = {"stream": True} if dice.random() < 0.5 else {}
            return "completions", {"prompt": name, **stream}
        case "embeddings":
            return "embeddings", {"input": name}
    store = {"store": False} if dice.random() < 0.6 else {}
    return "responses", {"input": name, **store, "stream": dice.random() < 0.5}


def _usage(dice: random.Random) -> dict[str, Any]:
    return {"stream_options": {"include_usage": True}} if dice.random() < 0.3 else {}


def _model(dice: random.Random) -> Any:
    vault, ghost = f"vault{dice.randrange(VAULTS)}", f"ghost{dice.randrange(GHOSTS)}"
    shapes: list[tuple[int, Any]] = [
        (30, "m"),
        (10, "one/m"),
        (10, "m-two"),
        (8, ["m", "solid"]),
        (8, ["one/m", "two/m", "auto"]),
        (6, ["two/m", "one/m"]),
        (5, ["nowhere", "m"]),
        (2, "nowhere"),
        (4, [vault, "m"]),
        (2, vault),
        (4, [ghost, "m", "auto"]),
        (1, ghost),
        (3, ["nobody-has-this", "m"]),
        (1, "nobody-has-this"),
        (5, "auto"),
        (3, None),
        (2, "solid"),
    ]
    return dice.choices([shape for _, shape in shapes], [weight for weight, _ in shapes])[0]
