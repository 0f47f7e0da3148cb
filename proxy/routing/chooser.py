"""For whom a strategy chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from proxy.routing.deployment import Deployment

if TYPE_CHECKING:
    from random import Random

# So many candidates are compared one by one. Among more, a strategy looks at no more than that, as long as it can.
SMALL: Final = 64


class Chooser(Protocol):
    """The exchange that asks. Requests of the same ``affinity`` want the same deployment, ``b""`` wants any."""

    @property
    def random(self) -> Random: ...

    @property
    def affinity(self) -> bytes: ...

    def admits(self, deployment: Deployment, now: float) -> bool:
        """Whether it was not proposed yet and may be asked now. If it may not, the chooser notes why."""
        ...
