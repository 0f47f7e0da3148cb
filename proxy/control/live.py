"""The configuration in force, as the control plane sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from proxy.config.left_out import LeftOutModel
from proxy.config.schema import Config
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry


class ReloadResult(Struct, rename="camel"):
    """The outcome of a reload; also the event ``reload``. Unless ``loaded``, nothing has changed.

    ``why``: what caused the reload. ``waitsForStart``: changed keys that take effect at the next start only.
    """

    loaded: bool
    why: str = ""
    notices: list[str] = []
    mistakes: list[str] = []
    waits_for_start: list[str] = []


class LiveConfig(Protocol):
    """The configuration in force, and how to load it again: ``proxy.running_config.RunningConfig``.

    ``catalog`` is compiled from it. ``registry`` has the state of deployments, and survives a reload. ``config_path``:
    path of its file, ``""`` without one. ``waiting``: changed keys that take effect at the next start only.
    ``left_out``: models of the files whose provider is not in use.
    ``secrets``: to be masked in text that others wrote.
    """

    @property
    def config(self) -> Config: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def config_path(self) -> str: ...
    @property
    def waiting(self) -> Sequence[str]: ...
    @property
    def left_out(self) -> Sequence[LeftOutModel]: ...
    @property
    def secrets(self) -> Collection[str]: ...

    async def reload(self) -> ReloadResult | None:
        """Load the file again; ``None``: there is no file."""
