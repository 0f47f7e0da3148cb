"""This gateway: the shipped configuration with every level of limits on, out of the way of the requests."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.bench.child import ROOT
from tests.bench.peers.base import Peer, Provider
from tests.bench.traffic import Traffic

# A provider of OpenAI's kind speaks both. Translation needs one that lacks the other.
BOTH = {"chat": "responses", "responses": "chat"}
PLENTY = 1_000_000_000
# The limits are off as shipped. On, they belong to the cost of a request: every level counts, none of them refuses.
LIMITS = {
    "enabled": True,
    "global": {"requestsPerMinute": PLENTY},
    "perClient": {"enabled": True, "requestsPerMinute": PLENTY, "burstSize": PLENTY},
    "perModel": {"enabled": True, "requestsPerMinute": PLENTY},
}
# The mock provider's entry, by dialect. Versions before the other dialects know no kind.
SPEAKING: dict[str, dict[str, str]] = {
    "chat": {"baseUrl": "{origin}/v1"},
    "messages": {"baseUrl": "{origin}/v1", "kind": "anthropic"},
    "responses": {"baseUrl": "{origin}/v1"},
    "gemini": {"baseUrl": "{origin}/v1beta", "kind": "gemini"},
    "get": {"baseUrl": "{origin}/v1"},
}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` wins, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


class Sluice(Peer):
    """``changes``: configuration to lay over the shipped one. ``tree``: another checkout to run.

    ``traffic``: the dialect of its clients, ``spoken``: of its provider, if that is another.
    """

    name = "sluice"
    spoken: Traffic | None = None

    def __init__(
        self,
        provider: Provider,
        folder: Path,
        tls: bool = False,
        changes: Mapping[str, Any] | None = None,
        tree: Path = ROOT,
        traffic: Traffic | None = None,
        spoken: Traffic | None = None,
    ) -> None:
        super().__init__(provider, folder, tls)
        self.traffic = traffic or self.traffic
        self.path = self.traffic.path
        self.spoken = spoken or self.spoken or self.traffic
        self.rewrites = "" if self.spoken is self.traffic else self.spoken.name
        self.changes = changes or {}
        self.tree = tree

    def version(self) -> str:
        found = re.search(r'^__version__ = "(.+)"', (self.tree / "proxy" / "__init__.py").read_text(), re.MULTILINE)
        return found[1] if found else ""

    def speaking(self) -> dict[str, Any]:
        """The provider's address and dialect."""
        spoken = (self.spoken or self.traffic).name
        members: dict[str, Any] = {name: value.format(origin=self.origin) for name, value in SPEAKING[spoken].items()}
        return members | ({"dialects": {BOTH[spoken]: {"enabled": False}}} if self.rewrites in BOTH else {})

    def command(self) -> list[str]:
        shipped = self.tree / "config" / "config.yaml"
        config = yaml.safe_load(shipped.read_text()) if shipped.exists() else {}
        config["rateLimiting"] = merged(config.get("rateLimiting") or {}, LIMITS)
        config["providers"] = {
            "mock": {**self.speaking(), "apiKey": "sk-bench", "tls": {"caFile": str(self.provider.ca)}}
        }
        config["modelsFile"] = "models.yaml"
        (config.get("routing") or {}).pop("fallback", None)  # it may name a provider of the shipped file
        if self.traffic.name == "get":
            config["services"] = {"files": {"addresses": [self.origin]}}
            config["routes"] = [{"id": "files", "path": "/files", "service": "files", "public": True}]
        config = merged(config, self.changes)
        models = {"models": [{"name": "bench", "provider": "mock", "model": "bench"}]}
        (self.folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
        (self.folder / "models.yaml").write_text(json.dumps(models))
        place = ["--config", str(self.folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(self.port)]
        return [sys.executable, "-m", "proxy", "serve", *place]
