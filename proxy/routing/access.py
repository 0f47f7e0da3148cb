"""Which models a client may use."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from proxy.routing.deployment import Deployment


class Access(Struct, frozen=True):
    """Patterns (``*`` stands for any text) over the names that clients ask for, or ``provider/name``; ``()``: all."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    def allows(self, deployment: Deployment) -> bool:
        provider = deployment.provider.name
        if self.providers and not _matches(self.providers, provider):
            return False
        return (
            not self.models
            or _matches(self.models, deployment.name)
            or _matches(self.models, f"{provider}/{deployment.name}")
        )


ALL: Final = Access()


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
