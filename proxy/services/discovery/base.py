"""The face of all sources of addresses, and of the technologies that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from proxy.config.service_schema import DiscoverySettings, ServerAddress, ServiceSettings

Found = Callable[[Sequence[ServerAddress]], None]


class SourceState(Struct, frozen=True):
    """``up``: the source answered last. ``at``: when it did, in Unix seconds; 0: never.

    ``error``: why it does not answer, or what is wrong with a part of its answer. Without one, a source that is not up
    has not answered yet.
    """

    up: bool
    at: float = 0.0
    error: str = ""


class AddressSource(Protocol):
    """Follows the addresses of one service. It survives any failure of its technology: the last addresses stay."""

    @property
    def state(self) -> SourceState: ...

    async def follow(self, found: Found) -> None:
        """Call ``found`` with all addresses, at first and after each change, until it is canceled.

        What it raises is the source's state until it is called again, after a delay that grows.
        """


class Discovery(Protocol):
    """One technology. Sources of the same technology share its connections, caches and limits."""

    def source(self, service: str, settings: ServiceSettings) -> AddressSource:
        """The source of one service, whose settings name this technology. Opens nothing yet."""
        ...

    async def close(self) -> None:
        """Release what sources share, after all of them were canceled."""


# ``open_discovery`` of each technology's module: with the settings of all discovery, of which it uses its own, and the
# environment with ``.env``.
OpenDiscovery = Callable[[DiscoverySettings, Mapping[str, str]], Discovery]
