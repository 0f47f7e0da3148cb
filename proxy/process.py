"""The process around the gateway: its start line, its signals, and the settings of the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable

import uvloop

from proxy import __version__
from proxy.app import Application, drain_limit
from proxy.config.exposure import is_open, refusal, requires_certificate
from proxy.config.known_providers import NONE_USABLE
from proxy.config.listening import host_and_port
from proxy.config.loader import Loaded
from proxy.config.schema import Config
from proxy.config.source import Source
from proxy.errors import ConfigError
from proxy.observe.bridge import install
from proxy.runtime.loop import Loop
from proxy.runtime.namesake import installed_beside
from proxy.runtime.notify import ServiceManager
from proxy.runtime.notify import opened as open_manager

CLOSE_SECS = 30.0  # to close everything after the drain; most steps take no time, each at most 5 s
ABORTED = 128 + signal.SIGINT  # exit status after a second signal
CREDENTIALS = {
    "none": "no key asked",
    "keys": "API keys",
    "jwt": "JWTs",
    "certificates": "client certificates",
    "any": "API keys or JWTs",
}


def run(loaded: Loaded, source: Source, announce: Callable[[str], None], *, insecure: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. ``announce`` takes the start line once the address accepts connections.

    ``source`` is where ``loaded`` came from. It is loaded again when its files change, and at SIGHUP.
    Raises ConfigError, and OSError if the address is not available.
    """
    if why := refusal(loaded.config, insecure=insecure):
        raise ConfigError([why])
    uvloop.run(_serve(loaded, source, announce), loop_factory=Loop)


async def _serve(loaded: Loaded, source: Source, announce: Callable[[str], None]) -> None:
    application = Application(
        loaded.config, environ=source.environment, left_out=loaded.left_out, prices=loaded.prices, follows=source
    )
    install(application.log)
    # It warns about every malformed form; the exchange's own log line is enough.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    for notice in filter(None, (installed_beside(), *loaded.notices)):
        application.log.warning(notice)
    manager = open_manager(os.environ, application.log.warning)
    stop = asyncio.Event()
    _handle_hangup(stop, application, manager)
    await application.start()
    _tune_collector()
    StopSignals(stop, application)  # the loop keeps it
    announce(start_line(application))
    if is_open(loaded.config.server, loaded.config.auth):
        where = host_and_port(loaded.config.server, application.port)
        announce(f"INSECURE: anybody who can reach {where} can use your provider keys.")
    if line := loaded.variables.line():
        announce(f"Environment: {line}.")
    manager.ready(f"Listens on {application.listeners.address}.")
    manager.watch(asyncio.get_running_loop())
    await stop.wait()
    application.log.info("Stopping: running requests may finish.", seconds=application.config.server.drain_secs)
    stop_limit = drain_limit(application.config.server) + CLOSE_SECS
    manager.stopping("Stopping: running requests may finish.", stop_limit)
    await application.stop()


def _tune_collector() -> None:
    """Exclude what the start allocated from collection, and make young collections small and full ones rare.

    Requests leave no cycles behind, and a collection stops every stream: one of 20,000 young objects for 7 to 11 ms,
    one of 5,000 for 1.3 to 2.4 ms (500 streams).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 200, 100)


def _handle_hangup(stop: asyncio.Event, application: Application, manager: ServiceManager) -> None:
    """Handle SIGHUP from now on, which is before the start: a rotation of logs may send it at any time."""
    arguments = (stop, application, manager, sys.stderr.isatty())
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _on_hangup, *arguments)
    if application.running.follow is not None:
        application.running.follow.reloaded = manager.reloaded


class StopSignals:
    """SIGTERM and SIGINT, from now on.

    The first sets ``stop``, so that running requests may finish. The second ends these, records them, and exits. A
    third exits at once.
    """

    def __init__(self, stop: asyncio.Event, application: Application) -> None:
        self._stop = stop
        self._application = application
        self._aborting: asyncio.Task[None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
        elif self._aborting is None:
            self._aborting = asyncio.create_task(self._abort(), name="abort")
        else:
            os._exit(ABORTED)

    async def _abort(self) -> None:
        try:
            await self._application.abort()
            self._application.log.flush()
        finally:
            os._exit(ABORTED)


def _on_hangup(stop: asyncio.Event, application: Application, manager: ServiceManager, on_terminal: bool) -> None:
    """Open the log file and load the configuration again.

    Stop instead if the terminal was closed: no Ctrl-C could stop the process later.
    """
    if on_terminal and not sys.stderr.isatty():
        stop.set()
        return
    application.log.reopen()
    if application.running.follow is not None:
        manager.reloading()
        application.running.follow.wake()


def start_line(application: Application) -> str:
    """Address, providers, models and the admin link, on one line."""
    config = application.config
    names = list(dict.fromkeys(model.name for model in config.models))
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    served = f"Providers: {', '.join(config.providers)}. Models: {shown or 'as the providers name them'}."
    if not config.providers:
        served = f"NOT READY: {NONE_USABLE}"
    where = application.listeners.address
    return f"Sluice {__version__} listens on {where} ({_credentials(config)}). {served}{_admin_link(application)}"


def _credentials(config: Config) -> str:
    """What clients need."""
    mode = "certificates" if config.auth.mode == "none" and requires_certificate(config.server) else config.auth.mode
    more = " or client certificates" if config.auth.certificates and mode not in ("none", "certificates") else ""
    return f"{CREDENTIALS[mode]}{more}"


def _admin_link(application: Application) -> str:
    """The address of the control plane, with the admin token if it was generated."""
    address, credential = application.listeners.admin_address, application.plane.credential
    if address.startswith("unix:"):
        return ""
    return f" Admin: {address}{credential.login_path if credential.generated else '/'}"
