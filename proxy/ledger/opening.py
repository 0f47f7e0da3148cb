"""Opens the ledger as it is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from proxy.config.schema import Config
from proxy.database.address import address_of, missing_package
from proxy.errors import ConfigError
from proxy.events.broker.opening import missing_broker_package
from proxy.ledger.child import RecorderChild, settings_of
from proxy.ledger.ledger import Ledger, LedgerCounters
from proxy.ledger.spool.folder import spool_folder
from proxy.ledger.spool.place import SpoolUnavailable
from proxy.ledger.spool.writer import SpoolWriter
from proxy.observe.log import Log

_MEGABYTE: Final = 1024 * 1024


def open_ledger(
    config: Config, counters: LedgerCounters, log: Log, soon: Callable[[Callable[[], None]], None]
) -> Ledger | None:
    """The ledger; ``None`` if it is switched off, or cannot be kept, which the log says. Requests are served anyway.

    ``soon`` is that of ``Ledger``. Runs in the loop whose threads it may use.
    """
    settings = config.ledger
    if not config.records_usage:
        return None
    # In mode events no database is needed, and ``require_broker`` has raised if the broker cannot be used.
    elsewhere = settings.mode == "events"
    missing = "" if elsewhere else missing_package(address_of(config.database, config.data_dir))
    if missing:
        log.warning("No ledger is kept of what requests use; ledger.enabled: false hides this line.", why=missing)
        return None
    folder = spool_folder(config.data_dir)
    try:
        spool = SpoolWriter(
            folder,
            limit_bytes=int(settings.spool_mb * _MEGABYTE),
            notice=log.warning,
            in_thread=partial(asyncio.get_running_loop().run_in_executor, None),
        )
    except SpoolUnavailable as error:
        log.warning("No ledger is kept of what requests use.", why=str(error))
        return None
    return Ledger(spool, settings.on_full, counters, log.warning, soon)


def require_broker(config: Config) -> None:
    """Raises ConfigError if a package for the broker is missing."""
    missing = missing_broker_package(config.events.url) if config.events.url else ""
    if missing:
        raise ConfigError([missing])


def open_recorder(config: Config, environ: Mapping[str, str], ledger: Ledger, log: Log) -> RecorderChild:
    """The child that writes what ``ledger`` records into the database, or sends it to the broker, and sends events.

    ``environ`` names forward proxies. It starts at once if events have receivers, else at the first record.
    """
    recorder = RecorderChild(settings_of(config, environ), log, ledger.nonce)
    ledger.on_first_record = recorder.start
    if config.events.url or config.events.webhooks:
        recorder.start()
    else:
        recorder.start_if_left()
    return recorder
