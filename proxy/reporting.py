"""Where the gateway reports to: traces and Sentry, each only if it is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from msgspec import Struct

from proxy.config.observe_schema import Observe
from proxy.observe.log import Log
from proxy.observe.sentry import Sentry
from proxy.observe.sentry import opened as open_sentry
from proxy.observe.tracing import Tracing
from proxy.observe.tracing import opened as open_tracing
from proxy.observe.tracing import wanted as traces_wanted
from proxy.runtime.shutdown import ShutdownStack


class Reporting(Struct, frozen=True):
    """``None``: not configured."""

    tracing: Tracing | None
    sentry: Sentry | None


def open_reporting(
    observe: Observe, environ: Mapping[str, str], version: str, log: Log, shutdown: ShutdownStack
) -> Reporting:
    """Raises ConfigError if a package is missing."""
    tracing = sentry = None
    if traces_wanted(observe):
        loop = asyncio.get_running_loop()
        tracing = open_tracing(observe, environ, loop, version=version, warn=log.warning, info=log.info)
        shutdown.push("traces", tracing.close)
    if observe.sentry.dsn:
        sentry = open_sentry(observe.sentry, environ, version=version)
        shutdown.push("Sentry", sentry.close)
    return Reporting(tracing, sentry)
