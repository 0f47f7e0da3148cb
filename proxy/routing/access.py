"""Models and providers that a client may use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from proxy.errors import ClientFault
from proxy.providers.provider import Provider
from proxy.routing.deployment import Deployment


class Access(Struct, frozen=True):
    """Patterns for models (with or without ``provider/``) and for providers; ``*`` matches any text, ``()`` all."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    def allows_provider(self, provider: Provider) -> bool:
        return not self.providers or matches(self.providers, provider.name)

    def allows(self, deployment: Deployment) -> bool:
        return self.allows_name(deployment.provider.name, deployment.name)

    def allows_name(self, provider: str, name: str) -> bool:
        if self.providers and not matches(self.providers, provider):
            return False
        return not self.models or matches(self.models, name) or matches(self.models, f"{provider}/{name}")


ALL: Final = Access()  # unrestricted; compared with ``is``


def access(models: Iterable[str], providers: Iterable[str]) -> Access:
    """The access for these patterns; ``ALL`` if there are none."""
    found = Access(tuple(models), tuple(providers))
    return found if found != ALL else ALL


def forbidden(names: Sequence[str]) -> ClientFault:
    """The 403 that names the model, if the request does."""
    text = (
        f"This credential may not use the model {names[0][:200]!r}. GET models lists those that it may use."
        if names
        else "This credential may use none of the models that 'auto' can choose. Name one that it may use."
    )
    return ClientFault(text, status=403, param="model", code="model_not_allowed")


def forbidden_provider(name: str) -> ClientFault:
    """The 403 for a path of a provider."""
    return ClientFault(f"This credential may not use the provider {name!r}.", status=403, code="model_not_allowed")


def forbidden_member(name: str) -> ClientFault:
    """The 403 for a member of the body that lets the provider choose a model which the credential may not use."""
    return ClientFault(
        f"This credential may not use {name!r}: the provider may answer with another model. Send 'model' alone.",
        status=403,
        param=name,
        code="model_not_allowed",
    )


def matches(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of ``patterns`` matches the whole name; ``*`` matches any text."""
    return any(re.fullmatch(_expression(pattern), name, re.DOTALL) for pattern in patterns)


def _expression(pattern: str) -> str:
    return ".*".join(map(re.escape, pattern.split("*")))
