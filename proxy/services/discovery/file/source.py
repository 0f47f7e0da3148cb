"""The addresses of one service by a file."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.config.service_schema import ServerAddress
from proxy.services.discovery.base import Found, SourceState
from proxy.services.discovery.file.parsing import ANY, missing
from proxy.services.discovery.file.shared import SharedFile


class FileAddresses:
    def __init__(self, service: str, file: SharedFile) -> None:
        self._service = service
        self._file = file

    @property
    def state(self) -> SourceState:
        """A file that is right, and does not have this service, is up; ``error`` says so."""
        state, found = self._file.state, self._file.found
        if not state.up or found is None or self._service in found or ANY in found:
            return state
        return SourceState(up=True, at=state.at, error=f"{self._file.path} {missing(found, self._service)}")

    async def follow(self, found: Found) -> None:
        last: Sequence[ServerAddress] | None = None
        async with self._file.followed() as changed:
            while True:
                await changed.wait()
                changed.clear()
                services = self._file.found
                if services is None:
                    continue  # never right yet
                addresses = services.get(self._service, services.get(ANY, ()))
                if addresses != last:
                    last = addresses
                    found(addresses)
