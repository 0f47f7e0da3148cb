"""Which models a client may use, and what that leaves of the steps of a plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from proxy.errors import ClientFault
from proxy.providers.openai import Provider
from proxy.routing.deployment import Deployment
from proxy.routing.recent import Recent
from proxy.routing.strategies import Step

MOST_KEPT = 1000


class Access(Struct, frozen=True):
    """Patterns (``*`` stands for any text) over the names that clients ask for, or ``provider/name``; ``()``: all."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    def reaches(self, provider: Provider) -> bool:
        return not self.providers or _matches(self.providers, provider.name)

    def allows(self, deployment: Deployment) -> bool:
        if not self.reaches(deployment.provider):
            return False
        if not self.models or _matches(self.models, deployment.name):
            return True
        return _matches(self.models, f"{deployment.provider.name}/{deployment.name}")


# Whoever may use everything has this very object: it is looked at by identity.
ALL: Final = Access()


def access(models: Iterable[str], providers: Iterable[str]) -> Access:
    """``ALL`` where nothing is said."""
    found = Access(tuple(models), tuple(providers))
    return found if found != ALL else ALL


class Allowed:
    """Makes of a step what an access leaves of it; remembered, as plans share steps."""

    def __init__(self) -> None:
        # The step is kept beside what was made of it, so that its identity is not given to another.
        self._kept: Recent[tuple[int, Access], tuple[Step, Step | None]] = Recent(MOST_KEPT)

    def of(self, steps: Iterable[Step], access: Access) -> tuple[Step, ...]:
        """The steps without those that have nothing left."""
        return tuple(left for step in steps if (left := self._step(step, access)) is not None)

    def _step(self, step: Step, access: Access) -> Step | None:
        found = self._kept.get((id(step), access))
        if found is None:
            kept = [deployment for deployment in step.deployments if access.allows(deployment)]
            whole = len(kept) == len(step.deployments)
            found = step, step if whole else type(step)(kept) if kept else None
            self._kept.put((id(step), access), found)
        return found[1]


def forbidden(names: Sequence[str]) -> ClientFault:
    """The 403 that names the model."""
    which = f"The model {names[0][:200]!r} is" if names else "No model is"
    return ClientFault(f"{which} not open to this credential.", status=403, param="model", code="model_not_allowed")


def forbidden_member(name: str) -> ClientFault:
    """The 403 for a member of the body by which the provider may answer with a model that is not open."""
    return ClientFault(
        f"{name!r} is not open to this credential: the provider may answer with another model. Send 'model' alone.",
        status=403,
        param=name,
        code="model_not_allowed",
    )


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(re.fullmatch(_expression(pattern), name, re.DOTALL) for pattern in patterns)


def _expression(pattern: str) -> str:
    return ".*".join(map(re.escape, pattern.split("*")))
