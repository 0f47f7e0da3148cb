"""Request bodies and queries of services and routes, for the OpenAPI document.

``bodies`` reads them, because it reports every mistake at once.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from proxy.config.address_schema import Priority, Weight
from proxy.config.service_schema import ServiceSettings
from proxy.config.types import BaseUrl, OptionalName, ServiceName


class NewService(ServiceSettings, kw_only=True, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A new service: its ``name``, and its settings. The short form is ``name``, ``url`` and ``weight``: it adds the
    address to a service that was made with this API, and makes the service if there is none."""

    name: ServiceName
    url: BaseUrl | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    region: OptionalName | UnsetType = UNSET


class AddressChange(Struct, forbid_unknown_fields=True, rename="camel"):
    """Absent members stay. ``drained``: it gets no new requests. ``weight`` ``null``: as it is configured or found.
    ``priority`` and ``region`` can be changed only of an address that was added with this API."""

    weight: Weight | UnsetType | None = UNSET
    drained: bool | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    region: OptionalName | UnsetType = UNSET


class WeightChange(Struct, forbid_unknown_fields=True, rename="camel"):
    """``url``: of one address; without it, the service's own weight. ``null``: as it is configured or found."""

    weight: Weight | None
    url: BaseUrl | UnsetType = UNSET


class ServiceListQuery(Struct):
    """``after``: name of the last service on the previous page. ``search``: a part of the name."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str = ""
    search: str = ""


class RouteListQuery(Struct):
    """``after``: id of the last route on the previous page. ``service``: only routes to it."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000
    after: str = ""
    service: str = ""


class DeletionQuery(Struct):
    """``force``: also a service that routes lead to. Their requests get status 503 then."""

    force: bool = False


class AddressQuery(Struct):
    """``url``: of the address."""

    url: str


class ChangeListQuery(Struct):
    """``after``: version of the last change on the previous page."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: Annotated[int, Meta(ge=0, le=1 << 62)] = 0
