"""Which models a client may use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from proxy.errors import ClientFault
from proxy.providers.provider import Provider
from proxy.routing.deployment import Deployment


class Access(Struct, frozen=True):
    """Patterns (``*`` stands for any text) over the names that clients ask for, or ``provider/name``; ``()``: all."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    def reaches(self, provider: Provider) -> bool:
        return not self.providers or _matches(self.providers, provider.name)

    def allows(self, deployment: Deployment) -> bool:
        return self.permits(deployment.provider, deployment.name)

    def permits(self, provider: Provider, name: str) -> bool:
        return self.permits_at(provider.name, name)

    def permits_at(self, provider: str, name: str) -> bool:
        """``permits``, for a provider that need not serve."""
        if self.providers and not _matches(self.providers, provider):
            return False
        return not self.models or _matches(self.models, name) or _matches(self.models, f"{provider}/{name}")


# Whoever may use everything has this very object: it is looked at by identity.
ALL: Final = Access()


def access(models: Iterable[str], providers: Iterable[str]) -> Access:
    """``ALL`` where nothing is said."""
    found = Access(tuple(models), tuple(providers))
    return found if found != ALL else ALL


def forbidden(names: Sequence[str]) -> ClientFault:
    """The 403 that names the model, if the request does."""
    text = (
        f"The model {names[0][:200]!r} is not open to this credential."
        if names
        else "None of the models to choose from is open to this credential; name one that is."
    )
    return ClientFault(text, status=403, param="model", code="model_not_allowed")


def forbidden_provider(name: str) -> ClientFault:
    """The 403 for a path of a provider."""
    return ClientFault(f"The provider {name!r} is not open to this credential.", status=403, code="model_not_allowed")


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
