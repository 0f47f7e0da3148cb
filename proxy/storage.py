"""What outlives a request: the database, the ledger, and Redis. None is imported, or connected to, before its use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from proxy.config.schema import Config
from proxy.database.opening import LazyEngine, open_reader
from proxy.events.base import Announcer, receivers_of
from proxy.events.receivers import EventReceivers
from proxy.ledger.announcer import EventAnnouncer
from proxy.ledger.child import RecorderChild, settings_of
from proxy.ledger.ledger import Ledger
from proxy.ledger.opening import open_ledger, open_recorder, require_broker
from proxy.ledger.recorder.status import RecorderStatus
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.redis.client import RedisClient
from proxy.runtime.shutdown import ShutdownStack


class Storage(Struct, frozen=True):
    """``reader`` is the database for pages, a replica perhaps. ``None``: the configuration needs none.

    ``receivers``: of events; none without a recorder, which sends them. ``events`` takes those without a transaction.
    """

    database: LazyEngine
    reader: LazyEngine
    ledger: Ledger | None
    recorder: RecorderChild | None
    redis: RedisClient | None
    receivers: EventReceivers
    events: Announcer

    def adopt(self, config: Config, environ: Mapping[str, str]) -> None:
        """Send events to the receivers of ``config`` from now on."""
        if self.recorder is not None:
            self.receivers.adopt(receivers_of(config.events))
            self.recorder.adopt(settings_of(config, environ))

    def recorder_status(self) -> RecorderStatus | None:
        """What the recorder of this machine wrote last; ``None``: nothing yet."""
        return None if self.recorder is None else self.recorder.status


def open_storage(
    config: Config,
    environ: Mapping[str, str],
    metrics: Metrics,
    log: Log,
    soon: Callable[[Callable[[], None]], None],
    shutdown: ShutdownStack,
) -> Storage:
    """``environ`` names forward proxies. ``soon`` is that of ``Ledger``. Raises ConfigError."""
    require_broker(config)
    database = LazyEngine(config.database, config.data_dir, log.warning, log.info)
    shutdown.push("database", database.close)
    reader = open_reader(config.database, config.data_dir, log)
    shutdown.push("database for reading", reader.close)
    ledger, recorder, redis = open_ledger(config, metrics, log, soon), None, None
    if ledger is not None:
        recorder = open_recorder(config, environ, ledger, log)
        shutdown.push("recorder", recorder.stop)
        shutdown.push("ledger", ledger.close)
        metrics.recorder = recorder.sample
    if config.rate_limiting.store == "redis" or config.circuit_breaker.shared or config.cache.store == "redis":
        redis = RedisClient(config.redis.url, config.redis.prefix, config.redis.timeout_secs)
        shutdown.push("Redis", redis.close)
    receivers = EventReceivers(() if recorder is None else receivers_of(config.events))
    return Storage(database, reader, ledger, recorder, redis, receivers, EventAnnouncer(receivers, ledger))
