"""The files that services are found in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from proxy.config.service_schema import DiscoverySettings, ServiceSettings
from proxy.services.discovery.base import Discovery
from proxy.services.discovery.file.shared import FileClocks, SharedFile
from proxy.services.discovery.file.source import FileAddresses


class FileDiscovery:
    """Services in the same file share it."""

    def __init__(self, clocks: FileClocks) -> None:
        self._clocks = clocks
        self._files: dict[str, SharedFile] = {}

    def source(self, service: str, settings: ServiceSettings) -> FileAddresses:
        file = self._files.get(settings.file)
        if file is None:
            file = self._files[settings.file] = SharedFile(Path(settings.file), self._clocks)
        return FileAddresses(service, file)

    async def close(self) -> None:
        self._files = {}


def open_discovery(settings: DiscoverySettings, environ: Mapping[str, str]) -> Discovery:
    return FileDiscovery(FileClocks(time.time, asyncio.sleep))
