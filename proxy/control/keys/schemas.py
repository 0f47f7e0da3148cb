"""Request bodies and query of the API-key routes.

``fields`` reads the bodies, because it reports every mistake at once, where a msgspec decoder stops at the first.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from proxy.config.limit_schema import Limits
from proxy.config.types import LabelMap, Name, OptionalName, ScopeName, Seconds

Duration = Annotated[float, Meta(gt=0, description="Seconds from now")]
Timestamp = Annotated[str, Meta(description="A time in ISO 8601", examples=["2030-01-01T00:00:00Z"])]
UnixTime = Annotated[float, Meta(gt=0, description="A time in Unix seconds")]


class KeyChange(Struct, forbid_unknown_fields=True, rename="camel"):
    """Absent members stay as they are; ``null`` removes a value. Give at most one of ``expires`` and ``expiresIn``.
    ``labels`` replace all former ones."""

    name: Name | UnsetType = UNSET
    owner: OptionalName | UnsetType | None = UNSET
    team: OptionalName | UnsetType | None = UNSET
    project: OptionalName | UnsetType | None = UNSET
    labels: LabelMap | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    models: list[Name] | UnsetType | None = UNSET
    providers: list[Name] | UnsetType | None = UNSET
    scopes: list[ScopeName] | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET
    expires: Timestamp | UnixTime | UnsetType | None = UNSET
    expires_in: Duration | UnsetType | None = UNSET


class NewKey(KeyChange, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A new key; only ``name`` is required. Give at most one of ``expires`` and ``expiresIn``."""

    name: Name


class KeyRotation(Struct, forbid_unknown_fields=True, rename="camel"):
    """``graceSecs``: how long the old secret keeps working."""

    grace_secs: Seconds = 3600.0


class KeyListQuery(Struct):
    """``after``: id of the last key on the previous page."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str = ""
