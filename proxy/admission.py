"""Who may call, and how much: credentials, limits and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex

from msgspec import Struct

from proxy.auth.credentials import Credentials
from proxy.auth.key_events import KeyAnnouncer
from proxy.budgets.listeners import open_thresholds
from proxy.budgets.opening import open_seeds
from proxy.budgets.rules import BudgetRules
from proxy.budgets.thresholds import Thresholds
from proxy.config.schema import Config
from proxy.limits.limiter import Limiter
from proxy.limits.opening import open_limiter
from proxy.limits.rules import Rules
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.running_config import RunningConfig
from proxy.runtime.shutdown import ShutdownStack
from proxy.storage import Storage


class Admission(Struct, frozen=True):
    """What is asked before a call is served. ``process``: random, of this process."""

    credentials: Credentials
    limiter: Limiter
    thresholds: Thresholds
    process: str

    def adopt(self, config: Config) -> None:
        """Put ``config`` in force. Raises ConfigError before anything has changed."""
        self.credentials.adopt(config)
        self.limiter.adopt(Rules.of(config.rate_limiting, config.auth), BudgetRules.of(config))


async def open_admission(
    running: RunningConfig,
    environ: Mapping[str, str],
    storage: Storage,
    metrics: Metrics,
    log: Log,
    shutdown: ShutdownStack,
) -> Admission:
    config = running.config
    elsewhere = config.ledger.enabled and config.ledger.mode == "events"
    keys = KeyAnnouncer(storage.receivers, storage.events if elsewhere else None)
    credentials = Credentials(config, environ, storage.database, log, keys)
    shutdown.push("credentials", credentials.close)
    await credentials.start()
    process = token_hex(6) if storage.ledger is None else storage.ledger.nonce
    limiter = open_limiter(config, storage.redis, metrics, log, process)
    limiter.seed_by(open_seeds(running, storage.database, storage.reader, limiter.book, log, storage.receivers))
    shutdown.push("limiter", limiter.close)
    await limiter.start()
    thresholds = open_thresholds(limiter.book, metrics, log, storage.events, limiter.spend)
    shutdown.push("thresholds", thresholds.close)
    return Admission(credentials, limiter, thresholds, process)
