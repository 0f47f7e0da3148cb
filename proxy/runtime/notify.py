"""Reports the state of the process to its service manager, by the protocol of sd_notify(3)."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

SEND_SECS: Final = 1.0  # the longest wait for a full queue of the service manager, at a change of state


def opened(environ: Mapping[str, str], warn: Callable[..., None]) -> ServiceManager:
    """The service manager that ``NOTIFY_SOCKET`` names; without the variable nothing is reported."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address and address[0] not in "/@":
        warn("NOTIFY_SOCKET is neither a path nor an abstract address; its sender is not notified.", address=address)
        address = ""
    return ServiceManager(address, warn, ping_every=_ping_every(environ))


def _ping_every(environ: Mapping[str, str]) -> float:
    """Half of the watchdog's timeout, in seconds; 0 if this process has none. See sd_watchdog_enabled(3)."""
    timeout, process = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (timeout.isascii() and timeout.isdecimal()) or process not in ("", str(os.getpid())):
        return 0.0
    return int(timeout) / 2e6


class ServiceManager:
    """``ready``, ``reloading``, ``reloaded`` and ``stopping`` report a state; after ``stopping`` nothing else is.

    ``address``: a path or ``@`` and an abstract name; ``""``: report nothing. ``ping_every``: seconds, 0 for no pings.
    """

    def __init__(self, address: str, warn: Callable[..., None], *, ping_every: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._warn = warn
        self._ping_every = ping_every
        self._state = "starting"
        self._failed = False

    def ready(self, status: str) -> None:
        """``status`` is one line for the operator, which every user of the machine can read."""
        self._status = status
        self._enter("ready", "READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload begins. Ignored during the start: that ends with the new configuration, too."""
        if self._state in ("ready", "reloading"):
            moment = time.monotonic_ns() // 1000  # with it Type=notify-reload tells reports of two reloads apart
            self._enter("reloading", "RELOADING=1", f"MONOTONIC_USEC={moment}", "STATUS=Loading the configuration.")

    def reloaded(self) -> None:
        if self._state == "reloading":
            self.ready(self._status)

    def stopping(self, status: str, secs: float) -> None:
        """``secs``: the longest that the stop takes, which the service manager allows from now on."""
        self._enter("stopping", "STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(secs * 1e6)}")

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ping the watchdog as long as ``loop`` runs its timers."""
        if self._address and self._ping_every:
            self._send("WATCHDOG=1", wait=0.0)  # never waits: streams would wait with it
            loop.call_later(self._ping_every, self.watch, loop)

    def _enter(self, state: str, *assignments: str) -> None:
        if self._state != "stopping":
            self._state = state
            self._send(*assignments, wait=SEND_SECS)

    def _send(self, *assignments: str, wait: float) -> None:
        """Send one datagram. The first error of a series is logged."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(wait)
                sock.connect(self._address)
                sock.sendall("\n".join(assignments).encode())
        except OSError as error:
            if not self._failed:
                why = error.strerror or str(error)
                self._warn("The service manager cannot be notified; see NOTIFY_SOCKET.", why=why)
            self._failed = True
        else:
            self._failed = False
