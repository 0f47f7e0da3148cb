"""The configuration of the cache, compiled: what applies to a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import UNSET, Struct
from multidict import istr

from proxy.cache.base import LONG
from proxy.config.cache_schema import CacheRule, CacheScope, CacheSettings
from proxy.identity import Client

_MOST_KNOWN: Final = 4096

Matches = Callable[[str], object]


class CachePolicy(Struct, frozen=True, eq=False):
    """What applies to a request. ``ttl``: seconds. Compared with ``is``."""

    ttl: float
    scope: CacheScope


class _Rule(Struct, frozen=True, eq=False):
    models: Sequence[Matches]
    clients: Sequence[Matches]
    headers: Sequence[tuple[istr, Matches]]
    policy: CachePolicy | None

    def matches(self, model: str, client: Client | None, headers: Mapping[str, str]) -> bool:
        if self.models and not any(matches(name) for matches in self.models for name in (model, *model.split(","))):
            return False
        if self.clients and not (client is not None and any(_names(matches, client) for matches in self.clients)):
            return False
        return all(name in headers and matches(headers[name]) for name, matches in self.headers)


class CacheRules:
    """Finds what applies to a request."""

    def __init__(self, settings: CacheSettings) -> None:
        self._usual = CachePolicy(settings.ttl_secs, settings.scope)
        self._rules = [_compiled(rule, settings) for rule in settings.rules]
        self._by_header = any(rule.headers for rule in self._rules)
        self._known: dict[tuple[str, Client | None], CachePolicy | None] = {}

    @property
    def usual(self) -> CachePolicy | None:
        """What applies to every request; ``None`` if there are rules."""
        return None if self._rules else self._usual

    def find(self, model: str, client: Client | None, headers: Mapping[str, str]) -> CachePolicy | None:
        """What applies; ``None``: the request is not cached. ``model``: one, or several with commas between them."""
        if not self._rules:
            return self._usual
        if self._by_header or len(model) > LONG:
            return self._first(model, client, headers)
        known, key = self._known, (model, client)
        if key in known:
            return known[key]
        if len(known) >= _MOST_KNOWN:
            known.clear()
        found = known[key] = self._first(model, client, headers)
        return found

    def _first(self, model: str, client: Client | None, headers: Mapping[str, str]) -> CachePolicy | None:
        for rule in self._rules:
            if rule.matches(model, client, headers):
                return rule.policy
        return self._usual


def scope_of(scope: CacheScope, client: Client | None) -> str:
    """Who shares the answers to a client's requests. A client without an owner has its own."""
    if scope == "shared" or client is None:
        return ""
    if scope == "key":
        return f"key {client.key or client.id}"
    return f"owner {client.payer or client.id}"


def _compiled(rule: CacheRule, settings: CacheSettings) -> _Rule:
    ttl = settings.ttl_secs if rule.ttl_secs is UNSET else rule.ttl_secs
    scope = settings.scope if rule.scope is UNSET else rule.scope
    return _Rule(
        [_pattern(text) for text in rule.models],
        [_pattern(text) for text in rule.clients],
        [(istr(name), _pattern(text)) for name, text in rule.headers.items()],
        CachePolicy(ttl, scope) if rule.enabled else None,
    )


def _pattern(text: str) -> Matches:
    """A function that matches a whole text; ``*`` matches any text."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL).fullmatch


def _names(matches: Matches, client: Client) -> bool:
    return bool(matches(client.name) or matches(client.id) or matches(client.key))
