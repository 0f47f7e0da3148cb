"""The section ``cache``, compiled: which requests are cached, and what their keys begin with."""

from __future__ import annotations

import math
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, structs

from proxy.cache.eligible import check_of
from proxy.cache.embedding_forms import FORMS
from proxy.cache.headers import HeaderReader
from proxy.cache.key import KeyContext, Shape, prefix_of
from proxy.cache.rules import CachePolicy, CacheRules, scope_of
from proxy.config.provider_schema import ProviderSettings
from proxy.config.schema import Config
from proxy.config.secret import Secret
from proxy.dialects.call import Call
from proxy.identity import Client
from proxy.providers.provider import Provider
from proxy.responder import Responder
from proxy.routing.access import ALL
from proxy.routing.routes import Route
from proxy.server.query import forwarded

_MOST_KNOWN: Final = 4096  # of which each takes 4 KB at most, as clients choose names
_MOST_NAMES: Final = 32  # of members
_LONGEST: Final = 512  # characters of all names, the model and the query

# Path, client, policy, provider that the path names, query, what replaces the model of the body, stream, names of
# members.
Place: TypeAlias = tuple[str, Client | None, CachePolicy, Provider | None, str, str, bool, tuple[str, ...]]


def _text_of(value: object) -> str:
    """The text of a secret. Values of a provider's headers are secrets, and count, as they may name an account."""
    if not isinstance(value, Secret):
        raise NotImplementedError(f"a configuration has a {type(value).__name__}")
    return str(value)


_encode = msgspec.json.Encoder(order="sorted", enc_hook=_text_of).encode


class CompiledCacheSettings:
    """The section ``cache`` of one configuration, and what the keys of its requests begin with."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.settings = config.cache
        self.rules = CacheRules(config.cache)
        self._allow = frozenset(config.cache.allow)
        forwarded = [name.lower().encode() for each in config.providers.values() for name in each.forward_headers]
        self.headers = HeaderReader(frozenset(forwarded))
        self._version = version_of(config) if config.cache.enabled else ""
        self._hooked = bool(config.hooks)
        deadline = config.routing.deadline_secs or math.inf
        self.wait = min(config.cache.wait_secs, deadline / 2)  # seconds; then there is time to call a provider
        self.usual = self.rules.usual  # what applies to every request; ``None``: the rules say it
        self._shapes: dict[Place, Shape] = {}

    def shape(self, responder: Responder, call: Call, policy: CachePolicy) -> Shape:
        """What the key of a request begins with, the order of its members, and what decides whether it is cached."""
        exchange, route = responder.exchange, responder.route
        assert route is not None
        path, names = exchange.endpoint.path, tuple(call.members.values)
        model = self._replaced(call, route) if self._hooked or route.model else ""
        place = path, exchange.caller, policy, route.pinned, responder.request.query, model, call.stream, names
        found = self._shapes.get(place)
        if found is None:
            check = check_of(exchange.endpoint, names, self.settings, self._allow)
            found = Shape(self._prefix(*place[:-1]), names, check, FORMS.get(path))
            if len(names) <= _MOST_NAMES and len("".join((*names, model, responder.request.query))) <= _LONGEST:
                if len(self._shapes) >= _MOST_KNOWN:
                    self._shapes.clear()
                self._shapes[place] = found
        return found

    def prefix(self, responder: Responder, call: Call, policy: CachePolicy) -> bytes:
        """What the key of a request begins with, whatever its members are."""
        exchange, route = responder.exchange, responder.route
        assert route is not None
        model, query = self._replaced(call, route), responder.request.query
        return self._prefix(exchange.endpoint.path, exchange.caller, policy, route.pinned, query, model, call.stream)

    def _replaced(self, call: Call, route: Route) -> str:
        """What counts beside the body: the model of the path, or what hooks made of the call."""
        if not self._hooked:
            return call.model or "" if route.model else ""
        body = "" if call.body is call.members.body else call.body.hex()  # a hook replaced one of them
        return repr((call.names, call.auto, call.criteria, body))

    def _prefix(
        self,
        path: str,
        client: Client | None,
        policy: CachePolicy,
        pinned: Provider | None,
        query: str,
        model: str,
        stream: bool,
    ) -> bytes:
        access = ALL if client is None else client.access
        return prefix_of(
            KeyContext(
                self._version,
                scope_of(policy.scope, client),
                "" if access is ALL else _encode(access).decode(),
                path,
                "" if pinned is None else pinned.name,
                model,
                forwarded(query) if query else "",
                "stream" if stream else "plain",
            )
        )


def version_of(config: Config) -> str:
    """A hash of what decides who answers a request, and how. Without the keys of providers, which may be replaced."""
    providers = {name: _without_keys(each) for name, each in config.providers.items()}
    fallback, translate = config.routing.fallback, config.translate
    parts = (config.models, providers, config.aliases, config.hooks, fallback, translate, config.default_provider)
    return sha256(_encode(parts)).hexdigest()[:32]


def _without_keys(settings: ProviderSettings) -> ProviderSettings:
    cloud = structs.replace(settings.cloud, access_key_id="", secret_access_key="", session_token="")
    return structs.replace(settings, api_key=UNSET, api_keys=UNSET, cloud=cloud)
