"""The configuration's shape: addresses of services and providers."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from proxy.config.types import BaseUrl, OptionalName, Section

SERVICE: Final = "service://"

ProviderUrl = Annotated[str, Meta(min_length=1, max_length=2000, extra={"kind": "provider url"})]
OptionalProviderUrl = Annotated[str, Meta(max_length=2000, extra={"kind": "optional provider url"})]
Weight = Annotated[float, Meta(ge=0, le=1_000_000)]
Priority = Annotated[int, Meta(ge=0, le=100)]


class ServerAddress(Section, frozen=True):
    """One address of a service. In a file it may be written as its URL alone.

    ``weight``: its share of the requests among addresses of the same priority; 0: none. ``priority``: addresses with
    the lowest number are used first. ``region``: those in the gateway's own region go before the others.
    """

    url: BaseUrl
    weight: Weight = 1.0
    priority: Priority = 0
    region: OptionalName = ""


class ProviderAddress(Section, frozen=True):
    """One address of a provider, like ``ServerAddress``, or ``service://name`` for all addresses of a service.

    Weights of a service's addresses are multiplied by ``weight``, and ``priority`` is added to theirs.
    """

    url: ProviderUrl
    weight: Weight = 1.0
    priority: Priority = 0
    region: OptionalName = ""


class ServiceUrl(Struct, frozen=True):
    """``service://name/path``. ``path`` is added to each address of the service; ``""``, or with a leading slash."""

    name: str
    path: str


def service_url(url: str) -> ServiceUrl | None:
    """The service that a provider's URL names; ``None`` for any other URL."""
    if not url.startswith(SERVICE):
        return None
    name, slash, path = url.removeprefix(SERVICE).partition("/")
    return ServiceUrl(name, slash + path)
