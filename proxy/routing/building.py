"""Building deployments from the configuration, with their keys, labels, clocks and live state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import UNSET

from proxy.config.provider_schema import ModelSettings, Timeouts, WireDialect
from proxy.config.schema import Config
from proxy.config.timeouts import Clocks, resolve
from proxy.pricing.catalog import PriceCatalog, shipped
from proxy.pricing.operator import operator_sheet
from proxy.pricing.sheet import PriceSheet
from proxy.pricing.vendors import vendor_at
from proxy.providers.base import EmbeddingMethod
from proxy.providers.provider import Provider, Site
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import paths_of, served
from proxy.routing.live import Registry
from proxy.routing.model_facts import prefers_responses
from proxy.routing.patching import Patches, patches_of
from proxy.routing.service import Service, service_of

# For plain responses and streams, then the same for media endpoints.
AllClocks: TypeAlias = tuple[Clocks, Clocks, Clocks, Clocks]
_ServiceKey: TypeAlias = tuple[Site, bool, bool, frozenset[WireDialect], EmbeddingMethod, frozenset[str] | None]


class DeploymentBuilder:
    """Builds deployments. ``registry`` owns their live state, by key. ``prices``, ``epoch``: as in ``Catalog``."""

    def __init__(
        self, config: Config, registry: Registry, prices: PriceCatalog | None = None, epoch: float = 0.0
    ) -> None:
        self._config = config
        self._registry = registry
        if prices is None and any(map(vendor_at, _addresses(config))):
            prices = shipped()  # read now, as it would delay a request
        self._prices = prices
        self._epoch = epoch
        self._clocks: dict[tuple[str, Timeouts | None], AllClocks] = {}
        self._services: dict[_ServiceKey, Service] = {}
        self._patches: dict[Site, Patches] = {}

    def configured(self, site: Site, model: ModelSettings) -> Deployment:
        """The deployment for one configured model at one address. Raises ConfigError for a wrong setting of it."""
        found = self.build(site, model.name, model.upstream_model, model)
        for endpoint in found.translated.values():
            if endpoint.dialect.provider is not None:
                found.facts(endpoint.path)
        return found

    def build(
        self, site: Site, name: str, upstream: str | None, model: ModelSettings | None = None, *, unlisted: bool = False
    ) -> Deployment:
        """A deployment. ``upstream`` and ``model`` as in ``Deployment``; ``unlisted``: a client chose the name."""
        provider = site.provider
        label = f"{provider.name}/{name}"
        # The key survives a reload. Another upstream model is another deployment, even under the same name.
        key = f"{label}@{site.base_url}" if upstream in (None, name) else f"{label}={upstream}@{site.base_url}"
        quota = (model.quota_group if model is not None else "") or provider.settings.quota_group
        if len(provider.sites) > 1:
            label = f"{label}#{provider.sites.index(site) + 1}"
        return Deployment(
            site,
            self.service(site, model, upstream or name, names_model=upstream is not None),
            self._registry.live(key, quota, unlisted=unlisted),
            self._clocks_of(provider, model),
            name=name,
            upstream_model=upstream,
            model=model,
            label=label,
            patches=self.patches(site, model),
            prices=self._sheet(site, upstream, model),
            epoch=self._epoch,
        )

    def _sheet(self, site: Site, upstream: str | None, model: ModelSettings | None) -> PriceSheet | None:
        """The operator's prices, else the catalog's; ``None``: there are none."""
        own = None if model is None else operator_sheet(model)
        if own is not None or upstream is None or self._prices is None:
            return own
        return self._prices.sheet(site.base_url, upstream)

    def patches(self, site: Site, model: ModelSettings | None = None) -> Patches:
        """The patches for a model, cached: most models use those of the provider."""
        if model is not None and model.patches is not UNSET:
            return patches_of(site, model)
        found = self._patches.get(site)
        if found is None:
            found = self._patches[site] = patches_of(site, None)
        return found

    def service(
        self, site: Site, model: ModelSettings | None = None, upstream: str = "", *, names_model: bool = True
    ) -> Service:
        """What a provider serves at one address, cached: most of its models serve the same.

        ``upstream``: the provider's name of the model, ``""`` where no model is meant.
        """
        paths, translates = served(model), self._config.translate.enabled
        responses_first = translates and bool(upstream) and prefers_responses(site, model, upstream)
        lacking = site.kind.wires - site.kind.wires_of(upstream) if upstream else frozenset[WireDialect]()
        embeds_by = site.kind.embeds_by(upstream)
        key = site, names_model, responses_first, lacking, embeds_by, paths
        found = self._services.get(key)
        if found is None:
            found = self._services[key] = service_of(
                site,
                names_model=names_model,
                served=paths,
                translates=translates,
                responses_first=responses_first,
                lacking=lacking,
                embeds_by=embeds_by,
            )
        return found

    def paths(self, provider: Provider, wire: WireDialect) -> frozenset[str]:
        """Paths of the dialect's endpoints that a provider serves for the names of its own list."""
        services = [self.service(site) for site in provider.sites]
        return frozenset(path for path in paths_of(wire) if any(path in service.sites for service in services))

    def _clocks_of(self, provider: Provider, model: ModelSettings | None) -> AllClocks:
        """Clocks, cached: most models of a provider share them."""
        key = provider.name, model.timeouts if model is not None else None
        found = self._clocks.get(key)
        if found is None:
            found = self._clocks[key] = (
                resolve(self._config, provider.settings, model, False),
                resolve(self._config, provider.settings, model, True),
                resolve(self._config, provider.settings, model, False, media=True),
                resolve(self._config, provider.settings, model, True, media=True),
            )
        return found


def _addresses(config: Config) -> Iterator[str]:
    for provider in config.providers.values():
        yield from provider.addresses
