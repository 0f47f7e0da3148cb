"""Building deployments from the configuration, with their keys, labels, clocks and live state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final, TypeAlias

from msgspec import UNSET

from proxy.config.provider_schema import ModelSettings, Timeouts, WireDialect
from proxy.config.schema import Config
from proxy.config.timeouts import Clocks, resolve
from proxy.pricing.catalog import PriceCatalog, shipped
from proxy.pricing.operator import operator_sheet
from proxy.pricing.sheet import PriceSheet
from proxy.pricing.vendors import vendor_at
from proxy.providers.base import EmbeddingMethod
from proxy.providers.models.servers import server_name
from proxy.providers.provider import Provider, Site
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import paths_of, served
from proxy.routing.live import Registry
from proxy.routing.model_facts import prefers_responses
from proxy.routing.patching import Patches, patches_of
from proxy.routing.service import Service, service_of

PORTION: Final = 100  # deployments that are built in one turn of the loop: 0.4 ms
# For plain responses and streams, then the same for media endpoints.
AllClocks: TypeAlias = tuple[Clocks, Clocks, Clocks, Clocks]
_ServiceKey: TypeAlias = tuple[Site, bool, bool, frozenset[WireDialect], EmbeddingMethod, frozenset[str] | None]


class DeploymentBuilder:
    """Builds deployments. ``registry`` owns their live state, by key. ``prices``, ``epoch``: as in ``Catalog``.

    It serves all catalogs of one configuration. A deployment of the last one is used again if its site is the same.
    """

    def __init__(
        self, config: Config, registry: Registry, prices: PriceCatalog | None = None, epoch: float = 0.0
    ) -> None:
        self._config = config
        self._registry = registry
        self._prices = prices
        self._checked: set[tuple[str, str]] = set()  # providers and models
        self._prefers: dict[tuple[str, str, str, str], bool] = {}
        self._built: dict[tuple[Site, str], Deployment] = {}  # of the present catalog
        self._before: dict[tuple[Site, str], Deployment] = {}  # of the one before
        self._models: dict[str, list[ModelSettings]] = {}  # by provider
        for model in config.models:
            self._models.setdefault(model.provider, []).append(model)
        self._epoch = epoch
        self._clocks: dict[tuple[str, Timeouts | None], AllClocks] = {}
        self._services: dict[_ServiceKey, Service] = {}
        self._patches: dict[Site, Patches] = {}
        self._servers: dict[Site, str] = {}

    def begin(self, sites: Collection[Site]) -> None:
        """Begin another catalog, with these sites."""
        self._built, self._before = {}, self._built
        self._services = {key: each for key, each in self._services.items() if key[0] in sites}
        self._patches = {site: each for site, each in self._patches.items() if site in sites}
        self._servers = {site: each for site, each in self._servers.items() if site in sites}
        self._find_prices(sites)

    def _find_prices(self, sites: Iterable[Site]) -> None:
        if self._prices is None and any(vendor_at(site.base_url) for site in sites):
            self._prices = shipped()  # read now, as it would delay a request

    def prepare(self, sites: Collection[Site]) -> Iterator[None]:
        """Build the deployments of configured models at sites of the next catalog. Yields between portions.

        Raises ConfigError.
        """
        self._find_prices(sites)
        built = 0
        for site in sites:
            for model in self._models.get(site.provider.name, ()):
                if (site, model.name) not in self._built:
                    self.configured(site, model)
                    built += 1
                    if not built % PORTION:
                        yield

    def end(self) -> None:
        """All deployments of the catalog are built."""
        self._before = {}

    def configured(self, site: Site, model: ModelSettings) -> Deployment:
        """The deployment for one configured model at one address. Raises ConfigError for a wrong setting of it."""
        key = site, model.name
        found = self._before.get(key)
        if found is None:
            found = self.build(site, model.name, model.upstream_model, model)
            self._check(found)
        self._built[key] = found
        return found

    def _check(self, deployment: Deployment) -> None:
        """Look at the settings of a model once for each provider. Raises ConfigError."""
        key = deployment.provider.name, deployment.name
        if key in self._checked:
            return
        for endpoint in deployment.translated.values():
            if endpoint.dialect.provider is not None:
                deployment.facts(endpoint.path)
        self._checked.add(key)

    def discovered(self, site: Site, name: str) -> Deployment:
        """The deployment for a model that an address of a service lists."""
        key = site, name
        found = self._built[key] = self._before.get(key) or self.build(site, name, name)
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
        if number := site.address.number:
            label = f"{label}#{number}"
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
        responses_first = translates and bool(upstream) and self._prefers_responses(site, model, upstream)
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

    def _prefers_responses(self, site: Site, model: ModelSettings | None, upstream: str) -> bool:
        """The same at all addresses of a provider at which the same server answers."""
        if model is None:
            return prefers_responses(site, model, upstream)
        name, server = site.provider.name, self._servers.get(site)
        if server is None:
            server = self._servers[site] = server_name(name, site.base_url)
        key = name, server, model.name, upstream
        found = self._prefers.get(key)
        if found is None:
            found = self._prefers[key] = prefers_responses(site, model, upstream)
        return found

    def paths(self, sites: Iterable[Site], wire: WireDialect) -> frozenset[str]:
        """Paths of the dialect's endpoints that a provider serves for the names of its own list."""
        services = [self.service(site) for site in sites]
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
