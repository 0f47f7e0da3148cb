"""The configuration in force, and how another one takes its place while requests run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from proxy import __version__
from proxy.addresses.book import AddressBook
from proxy.client.dial import Dialer
from proxy.config.follow import Follow
from proxy.config.left_out import LeftOutModel, summary
from proxy.config.loader import Loaded
from proxy.config.price_document import PriceDocument
from proxy.config.schema import Config
from proxy.config.secret import secrets_in
from proxy.config.source import Source
from proxy.config.standing import differences, standing
from proxy.control.live import ReloadResult
from proxy.demo.configured import DemoProvider
from proxy.errors import ConfigError
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.pricing.catalog import PriceCatalog
from proxy.routing.catalog import Catalog
from proxy.routing.lists import ModelLists
from proxy.routing.live import Registry
from proxy.runtime.renewal import Renewal

Adopt = Callable[[Config, Catalog], None]


class RunningConfig:
    """``start`` prepares the first configuration; ``follow`` reads the files again, if there are any.

    The root sets ``adopt``, which puts a prepared configuration in force and may raise ConfigError before anything
    has changed, and ``on_reload``, which takes the outcome of each reload. Each function in ``on_catalog`` takes the
    catalog that is compiled again for other addresses of services, or for other models at them.
    """

    adopt: Adopt
    on_reload: Callable[[ReloadResult], None]

    def __init__(
        self,
        config: Config,
        left_out: Sequence[LeftOutModel],
        source: Source | None,
        *,
        log: Log,
        metrics: Metrics,
        observers: Observers,
        dialer: Dialer,
        pseudonym: str,
        book: AddressBook,
        prices: PriceDocument | None = None,
    ) -> None:
        """``left_out``: models of the files that are not in ``config``. ``pseudonym`` names the process in ``Via``.
        ``book``: the addresses of services. ``prices``: ``None`` for the shipped ones.
        """
        self.config = config
        self.waiting: Sequence[str] = ()  # changed keys that take effect at the next start only
        self.secrets: set[str] = set()
        self.follow = None if source is None else Follow(source, self, config)
        self.registry = Registry.of(config.circuit_breaker)  # this and the lists survive a reload
        self.lists = ModelLists()
        self.demo = DemoProvider()
        self.left_out = left_out
        self.book = book
        self.on_catalog: list[Callable[[Catalog], None]] = []
        self._renewal = Renewal(self._renew, prepare=lambda: self.catalog.prepare(self.book.group))
        self._source = source
        self._log = log
        self._metrics = metrics
        self._observers = observers
        self._dialer = dialer
        self._via = b"Via: 1.1 %b\r\n" % pseudonym.encode()
        self._created = int(time.time())
        self._result = ReloadResult(False)
        self._prices = prices

    @property
    def config_path(self) -> str:
        """Path of the configuration file; ``""`` without one."""
        return str(self._source.path or "") if self._source is not None else ""

    async def start(self) -> None:
        """Prepare the first configuration. Raises ConfigError, and OSError where the demo provider cannot listen."""
        self.config = config = await self.demo.fill(self.config)
        self.hide(secrets_in(config))
        self._read_certificates(config)
        for line in summary(self.left_out):
            self._log.info(line)
        self.catalog = self._compiled(config, self.left_out, self._prices)
        self._publish(self.catalog)
        self.lists.changed = self._list_models
        self.book.on_change.append(self._addresses_changed)

    def hide(self, secrets: set[str]) -> None:
        """Mask these in the log as well. Old secrets stay masked: running exchanges still use them."""
        self.secrets |= secrets
        self._log.hide(self.secrets)

    async def reload(self) -> ReloadResult | None:
        """Load the files again; ``None``: there are none."""
        if self.follow is None:
            return None
        # If the models' URL does not answer, neither `take` nor `keep` is called, and nothing changes.
        failure = "modelsFile: the list could not be fetched; the log says why"
        self._result = ReloadResult(False, "", [], [failure], [*self.waiting])
        await self.follow.reload("asked to by the operator")
        return self._result

    # -- called by ``follow`` (``config.follow.Runner``) ---------------------------------------------

    async def take(self, loaded: Loaded, why: str) -> None:
        """Put ``loaded`` in force; running exchanges keep the catalog that they began with.

        Raises ConfigError; then nothing has changed.
        """
        if not loaded.config.providers and self.config.providers and not self.demo.running:
            # Whatever `demo` says, the demo provider must not answer requests for providers that clients rely on.
            raise ConfigError([*loaded.notices, *summary(loaded.left_out), "providers: none would be left"])
        waiting = differences(self.config, loaded.config)
        config = await self.demo.fill(standing(self.config, loaded.config))
        await asyncio.to_thread(self._read_certificates, config)
        self.hide(secrets_in(config))
        catalog = self._compiled(config, loaded.left_out, loaded.prices)
        self.adopt(config, catalog)
        self.config, self.catalog, self.waiting, self._prices = config, catalog, waiting, loaded.prices
        self._publish(catalog)
        self._log_taken(loaded, why)

    def keep(self, why: str, mistakes: list[str]) -> None:
        """Log why the files cannot be used; the running configuration stays."""
        self._log.error("The configuration cannot be loaded again; the running one is unchanged.", why=why)
        for mistake in mistakes:
            self._log.error(mistake)
        self._finish(ReloadResult(False, why, [], mistakes, [*self.waiting]))

    def notice(self, line: str) -> None:
        self._log.warning(line)

    def _log_taken(self, loaded: Loaded, why: str) -> None:
        for notice in loaded.notices:
            self._log.warning(notice)
        left_out, known = summary(loaded.left_out), summary(self.left_out)
        for line in left_out:
            if line not in known:
                self._log.info(line)
        self.left_out = loaded.left_out
        if self.waiting:
            self._log.warning("These changes wait for the next start.", keys=self.waiting)
        self._finish(ReloadResult(True, why, [*loaded.notices, *left_out], [], [*self.waiting]))
        config = self.config
        self._log.info(
            "The configuration was loaded again.", why=why, providers=len(config.providers), models=len(config.models)
        )

    def _finish(self, result: ReloadResult) -> None:
        self._result = result
        self.on_reload(result)

    # -- what is made of a configuration ------------------------------------------------------------

    def renew(self) -> None:
        """Compile the catalog now if addresses or lists changed."""
        self._renewal.now()

    def _addresses_changed(self, service: str) -> None:
        if any(service in provider.services for provider in self.config.providers.values()):
            self._renewal.ask()

    def _renew(self) -> None:
        """Put a catalog of the same configuration in force, with the present addresses and their models."""
        self.catalog = catalog = self._compiled(self.config, self.left_out, self._prices, self.catalog)
        for listener in self.on_catalog:
            listener(catalog)
        self._publish(catalog)
        self.registry.retire(catalog.keys)

    def _compiled(
        self,
        config: Config,
        left_out: Sequence[LeftOutModel],
        prices: PriceDocument | None,
        before: Catalog | None = None,
    ) -> Catalog:
        return Catalog(
            config,
            self.registry,
            version=__version__,
            created=self._created,
            via=self._via,
            lists=self.lists,
            left_out=left_out,
            prices=None if prices is None else PriceCatalog(prices),
            epoch=time.time() - asyncio.get_running_loop().time(),
            groups=self.book.group,
            before=before,
        )

    def _publish(self, catalog: Catalog) -> None:
        """Name the deployments of ``catalog`` in metrics, and drop the lists of providers that are gone."""
        self._observers.flush()  # what has ended is counted under the names that were known
        self._metrics.set_labels(
            ((d.provider.name, d.upstream_model or "") for d in catalog.deployments), catalog.providers
        )
        self.lists.keep(catalog.providers.values(), asyncio.get_running_loop().time())
        self._name_listed()

    def _list_models(self) -> None:
        """A provider lists other models: name them in metrics. Those of services become deployments."""
        self._name_listed()
        if any(provider.any_model and provider.settings.services for provider in self.catalog.providers.values()):
            self._renewal.ask()

    def _name_listed(self) -> None:
        self._metrics.listed.know(self.catalog.listed_models())

    def _read_certificates(self, config: Config) -> None:
        """Read the files of TLS settings to providers and services, before requests need them. Raises ConfigError."""
        used = [
            (f"providers.{name}", each.tls)
            for name, each in config.providers.items()
            if each.services or any(address.startswith("https:") for address in each.addresses)
        ]
        used += [(f"services.{name}", each.tls) for name, each in config.services.items() if each.uses_tls]
        mistakes = []
        for name, tls in used:
            try:
                self._dialer.context(tls)
            except OSError as error:
                mistakes.append(f"{name}.tls: the certificates cannot be used: {error}")
        if mistakes:
            raise ConfigError(mistakes)
