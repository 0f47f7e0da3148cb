"""A deployment: one model of one provider at one address, under one name."""

from __future__ import annotations

import msgspec

from proxy.config.provider_schema import ModelSettings
from proxy.config.timeouts import Clocks
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.pricing.sheet import PriceSheet
from proxy.providers.issuers import main_issuer
from proxy.providers.keys import Key
from proxy.providers.provider import Site
from proxy.routing.endpoints import WIRES, served
from proxy.routing.live import LiveState
from proxy.routing.model_facts import facts_of
from proxy.routing.patching import Patches
from proxy.routing.service import Service

_encode = msgspec.json.Encoder().encode


class Deployment:
    """What a plan proposes as a candidate.

    ``upstream_model``: the model's name at the provider; ``None``: the name in the body is sent unchanged.
    ``model``: its configuration, ``None`` if there is none. ``label``: display name, without an address.
    ``key``: of its ``live`` state. ``endpoints``: paths that it is configured to serve; ``None``: not configured.
    ``available``: its model is, and its provider has an address. ``tier``, ``weight``: of the address, as in
    ``SiteAddress``; the weight is that of the model, too. ``auto_paths``: those that ``auto`` may choose it for.
    ``dialects``: of its answers, by the path of the endpoint; ``sites``: where its requests go, without the paths that
    the provider cannot serve. ``translated``: the provider's endpoint, by the paths of endpoints whose requests are
    translated. ``patches``: what its requests need changed, only for paths with any. ``cloud``: its requests need what
    ``dispatch/cloud.py`` does. ``prices``: ``None`` if there are none. ``epoch``: as in ``Catalog``.
    """

    __slots__ = (
        "_facts",
        "_heads",
        "_issuers",
        "auto_paths",
        "available",
        "clocks",
        "cloud",
        "context_size",
        "dialects",
        "endpoints",
        "epoch",
        "key",
        "label",
        "live",
        "max_concurrent",
        "media_clocks",
        "media_stream_clocks",
        "model",
        "model_json",
        "name",
        "patches",
        "prices",
        "provider",
        "router_lines",
        "router_member",
        "site",
        "sites",
        "stream_clocks",
        "tier",
        "translated",
        "upstream_model",
        "weight",
    )

    def __init__(
        self,
        site: Site,
        service: Service,
        live: LiveState,
        clocks: tuple[Clocks, Clocks, Clocks, Clocks],
        *,
        name: str,
        upstream_model: str | None,
        model: ModelSettings | None,
        label: str,
        patches: Patches,
        prices: PriceSheet | None,
        epoch: float,
    ) -> None:
        self.name = name
        self.site = site
        self.sites = service.sites
        self.dialects = service.dialects
        self.translated = service.translated
        self.provider = site.provider
        self.cloud = site.provider.kind.cloud
        self.live = live
        self.key = live.key
        self.label = label
        self.upstream_model = upstream_model
        self.model_json = _encode(upstream_model) if upstream_model is not None else b""
        self.model = model
        self.patches = patches
        self.prices = prices
        self.epoch = epoch
        self.available = site.address.present and (model is None or model.available)
        self.tier = site.address.tier
        self.weight = site.address.weight * (1.0 if model is None else model.weight)
        self.context_size = 0 if model is None else model.context_size  # tokens; 0: unknown
        self.max_concurrent = 0 if model is None else model.max_concurrent  # 0: no bound
        self.endpoints = served(model)
        self.clocks, self.stream_clocks, self.media_clocks, self.media_stream_clocks = clocks
        self.auto_paths = service.auto_paths
        self._heads: dict[tuple[str, int], bytes] = {}
        self._facts: dict[str, ModelFacts] = {}
        self._issuers: dict[str, str] = {}
        # Router metadata for the client, made at first use: header lines, and a member of the body.
        self.router_lines = b""
        self.router_member = b""

    def serves(self, endpoint: str) -> bool:
        """Whether a request that names the model may use it for this path."""
        if endpoint in self.translated:
            return True
        return endpoint in self.sites and (self.endpoints is None or endpoint in self.endpoints)

    def serves_auto(self, endpoint: str) -> bool:
        """Whether ``auto`` may choose it for this path. A model without a type is for text."""
        return endpoint in self.auto_paths

    def call_head(self, path: str, key: Key, query: str = "") -> bytes:
        """The head of a JSON call to the endpoint ``path`` up to the client's header lines.

        Without a query it is made once per endpoint and key.
        """
        if query:
            return self.sites[path].call_head(path, key, query, self.upstream_model)
        head = self._heads.get((path, key.number))
        if head is None:
            head = self._heads[path, key.number] = self.sites[path].call_head(path, key, model=self.upstream_model)
        return head

    def facts(self, path: str) -> ModelFacts:
        """What its model takes in requests that are translated for the provider's endpoint ``path``.

        Raises ConfigError for a wrong setting of the model.
        """
        found = self._facts.get(path)
        if found is None:
            upstream = self.upstream_model or self.name
            found = self._facts[path] = facts_of(self.sites[path], WIRES[path], self.model, upstream)
        return found

    def issuer(self, path: str) -> str:
        """The issuer of blobs in translated answers of the provider's endpoint ``path``."""
        found = self._issuers.get(path)
        if found is None:
            found = self._issuers[path] = main_issuer(self.sites[path])
        return found

    @property
    def prefills(self) -> bool:
        """Whether its model continues the text of a final assistant message."""
        if self.model is not None and self.model.prefill:
            return True
        translated = self.translated.get("chat/completions")
        return translated is not None and self.facts(translated.path).prefill

    def __repr__(self) -> str:
        return f"<Deployment {self.label}>"
