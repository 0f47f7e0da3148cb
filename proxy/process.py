"""The process around the gateway: what it says when it starts, the signals that it heeds, how it keeps its memory."""

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
from proxy.app import Application
from proxy.config.exposure import is_open, refusal
from proxy.config.known_providers import NONE_USABLE
from proxy.config.listening import host_and_port
from proxy.config.loader import Loaded
from proxy.config.source import Source
from proxy.errors import ConfigError
from proxy.observe.bridge import install
from proxy.observe.log import Log
from proxy.runtime.loop import Loop
from proxy.runtime.namesake import installed_beside

ASKED = {"none": "no key asked", "keys": "API keys", "jwt": "JWTs", "any": "API keys or JWTs"}


def run(loaded: Loaded, source: Source, announce: Callable[[str], None], *, insecure: bool = False) -> None:
    """Serve until a signal ends it; ``announce`` takes the start-up line once the address answers.

    ``source`` is where ``loaded`` came from: it is followed, and loaded again at SIGHUP.
    Raises ConfigError, and OSError where the address cannot be had.
    """
    if why := refusal(loaded.config, insecure=insecure):
        raise ConfigError([why])
    uvloop.run(_serve(loaded, source, announce), loop_factory=Loop)


async def _serve(loaded: Loaded, source: Source, announce: Callable[[str], None]) -> None:
    application = Application(loaded.config, environ=source.environment, left_out=loaded.left_out, follows=source)
    install(application.log)
    # It warns about every malformed form; the exchange's own line says it once.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    for notice in filter(None, (installed_beside(), *loaded.notices)):
        application.log.warning(notice)
    await application.start()
    _calm_collector()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, _on_signal, stop, application.log)
    loop.add_signal_handler(signal.SIGHUP, _on_hangup, stop, application, sys.stderr.isatty())
    announce(start_line(application))
    if is_open(loaded.config.server, loaded.config.auth):
        where = host_and_port(loaded.config.server, application.port)
        announce(f"INSECURE: anybody who can reach {where} can use your provider keys.")
    if line := loaded.variables.line():
        announce(f"Environment: {line}.")
    await stop.wait()
    application.log.info("Stopping: running requests may finish.", seconds=application.config.server.drain_secs)
    await application.stop()


def _calm_collector() -> None:
    """What lives since the start need not be looked at again, and requests leave no cycles behind: the larger
    collections may be rare, and the small ones be small.

    Each holds every stream: a young one of 20,000 objects for 7 to 11 ms, of 5,000 for 1.3 to 2.4 ms (500 streams).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 200, 100)


def _on_signal(stop: asyncio.Event, log: Log) -> None:
    if stop.is_set():  # the second one: now
        log.flush()
        os._exit(130)
    stop.set()


def _on_hangup(stop: asyncio.Event, application: Application, on_terminal: bool) -> None:
    """The word to load again, unless it is the terminal that hangs up: then nobody is there to stop us later."""
    if on_terminal and not sys.stderr.isatty():
        stop.set()
    elif application.follow is not None:
        application.follow.wake()


def start_line(application: Application) -> str:
    """Address, providers, models and the admin link, on one line."""
    config = application.config
    names = list(dict.fromkeys(model.name for model in config.models))
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    served = f"Providers: {', '.join(config.providers)}. Models: {shown or 'as the providers name them'}."
    if not config.providers:
        served = f"NOT READY: {NONE_USABLE}"
    mode = config.auth.mode
    return f"Sluice {__version__} listens on {application.address} ({ASKED[mode]}). {served}{_admin_link(application)}"


def _admin_link(application: Application) -> str:
    """Where the operator looks, with the token in it if nobody else knows it."""
    plane = application.plane
    address = application.admin_address
    if plane is None or address.startswith("unix:"):
        return ""
    return f" Admin: {address}{plane.credential.login_path if plane.credential.generated else '/'}"
