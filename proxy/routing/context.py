"""What a strategy needs to know of the exchange that it chooses a deployment for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.routing.deployment import Deployment

if TYPE_CHECKING:
    from random import Random


class SelectionContext(Protocol):
    """The plan of one exchange. Requests with the same ``affinity`` prefer the same deployment; ``b""``: none."""

    @property
    def random(self) -> Random: ...

    @property
    def affinity(self) -> bytes: ...

    def admits(self, deployment: Deployment, now: float) -> bool:
        """Whether the deployment is available now and was not proposed before. If not, the plan records why."""
        ...
