"""The way to providers: connections, and the dispatcher that chooses between deployments."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random

from msgspec import Struct

from proxy.client.credentials.refresher import CredentialRefresher
from proxy.client.dial import Dialer
from proxy.client.get_models import ModelsRequest
from proxy.client.pool import ConnectionPool
from proxy.config.provider_schema import Tls
from proxy.config.schema import Config
from proxy.config.timeouts import own_client_stall
from proxy.dispatch.dispatcher import Clock, Dispatcher
from proxy.dispatch.list_fetcher import ListFetcher
from proxy.dispatch.list_follower import ListFollower
from proxy.fetch.fetcher import ContentFetcher
from proxy.ledger.ledger import Ledger
from proxy.net.outbox import Outbox
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.relay.context import TransportContext
from proxy.routing.catalog import Catalog
from proxy.routing.lists import ModelLists
from proxy.runtime.shutdown import ShutdownStack
from proxy.server.flush import Flushing


class UpstreamParts(Struct, frozen=True):
    """``issued``: credentials that clouds issue. ``flushing`` waits for slow clients, by the clocks of ``dispatcher``.

    ``fetcher`` reads the lists of models that providers return, ``follower`` those of discovered services.
    """

    pool: ConnectionPool
    dispatcher: Dispatcher
    issued: CredentialRefresher
    models_request: ModelsRequest
    fetcher: ListFetcher
    follower: ListFollower
    flushing: Flushing

    def adopt(self, config: Config, catalog: Catalog) -> None:
        """After a reload."""
        self.follower.adopt(catalog)
        self.flushing.client_stall = own_client_stall(config)


def open_upstream(
    config: Config,
    environ: Mapping[str, str],
    dialer: Dialer,
    lists: ModelLists,
    catalog: Catalog,
    *,
    ledger: Ledger | None,
    outbox: Outbox,
    metrics: Metrics,
    log: Log,
    shutdown: ShutdownStack,
    clock: Clock | None = None,
    chance: Random | None = None,
) -> UpstreamParts:
    """``clock`` and ``chance`` replace time and random numbers in the choice between deployments."""
    loop = asyncio.get_running_loop()
    pool = ConnectionPool(dialer, config.pool, loop, metrics, outbox)
    shutdown.push("connections to providers", pool.close)
    context = TransportContext.of(config.server, loop, pool, metrics)
    issued = CredentialRefresher(environ, warn=log.warning)
    shutdown.push("issued credentials", issued.close)
    contents = ContentFetcher(environ, lambda: dialer.context(Tls()))
    dispatcher = Dispatcher(context, clock, chance, log.warning, issued, contents, ledger)
    metrics.upstream_connections = dispatcher.open_connections
    flushing = Flushing(loop, context.ticker, context.budget, own_client_stall(config))
    models_request = ModelsRequest(dialer.context, environ, issued)
    fetcher = ListFetcher(lists, models_request, dispatcher.now, log.warning)
    shutdown.push("providers' lists of models", fetcher.close)
    follower = ListFollower(lists, fetcher, catalog)
    shutdown.push_task("models of services", follower.run())
    return UpstreamParts(pool, dispatcher, issued, models_request, fetcher, follower, flushing)
