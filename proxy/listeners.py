"""The listeners of the process: the API's, and the control plane's if it has an address of its own."""

from __future__ import annotations

import time

from proxy.config.listening import address, browser_address, own_settings
from proxy.config.schema import Config, ServerSettings
from proxy.errors import ConfigError
from proxy.net.outbox import Outbox
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.server.flush import Flushing
from proxy.server.listener import Listener
from proxy.server.peer_faults import PeerFaults
from proxy.server.server import Server
from proxy.serving import Serving


class Listeners:
    """``api`` and ``own`` are set before they start; ``own`` stays ``None`` if the control plane is at the API's."""

    api: Listener
    own: Listener | None = None

    def __init__(self, config: Config, log: Log, metrics: Metrics, outbox: Outbox, flushing: Flushing) -> None:
        self._server = config.server
        self._admin = config.admin
        self._log = log
        self._metrics = metrics
        self._outbox = outbox
        self._flushing = flushing
        self._faults = PeerFaults(log.warning, time.monotonic)

    def make(self, settings: ServerSettings, serving: Serving) -> Listener:
        """A listener that has ``serving`` answer its requests. It still has to be started."""
        refuse, reject = serving.refuse_bytes, self._metrics.reject
        server = Server(serving.handle, settings, refuse, reject, self._outbox, self._flushing, self._faults)
        return Listener(server, settings)

    @property
    def address(self) -> str:
        """The API's address, for the start line."""
        return address(self._server, self.api.port)

    @property
    def admin_address(self) -> str:
        """Where a browser on this machine finds the control plane."""
        if self.own is None:
            return browser_address(self._server, self.api.port)
        return browser_address(own_settings(self._admin, self._server), self.own.port)

    def renew_certificates(self) -> None:
        """Read the certificates again. One that cannot be used is logged, and the one before it stays."""
        for listener in (self.api, self.own):
            try:
                if listener is not None:
                    listener.reload_certificates()
            except ConfigError as error:
                for mistake in error.mistakes:
                    self._log.error(mistake)
