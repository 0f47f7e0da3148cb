"""The bodies and the query of the key routes as the API description tells them.

They are read by ``fields``, which tells every mistake at once where a decoder stops at the first.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from proxy.config.schema import Limits
from proxy.config.types import Name, OptionalName, Seconds
from proxy.control.keys.fields import GRACE_SECS, LARGEST_PAGE, PAGE

Span = Annotated[float, Meta(gt=0, description="Seconds from now")]
Moment = Annotated[str, Meta(description="A moment in ISO 8601", examples=["2030-01-01T00:00:00Z"])]
Unix = Annotated[float, Meta(gt=0, description="A moment in Unix seconds")]


class KeyChange(Struct, forbid_unknown_fields=True, rename="camel"):
    """What is not named stays as it is, ``null`` takes it away. Of ``expires`` and ``expiresIn`` one at most."""

    name: Name | UnsetType = UNSET
    owner: OptionalName | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    models: list[Name] | UnsetType | None = UNSET
    providers: list[Name] | UnsetType | None = UNSET
    scopes: list[Literal["passthrough"]] | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET
    expires: Moment | Unix | UnsetType | None = UNSET
    expires_in: Span | UnsetType | None = UNSET


class KeyWish(KeyChange, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A new key, which needs a name. Of ``expires`` and ``expiresIn`` one at most."""

    name: Name


class KeyRotation(Struct, forbid_unknown_fields=True, rename="camel"):
    """``graceSecs``: how long the old key goes on working."""

    grace_secs: Seconds = GRACE_SECS


class KeyPaging(Struct):
    """``after`` is the id of the last key that is known already."""

    limit: Annotated[int, Meta(ge=1, le=LARGEST_PAGE)] = PAGE
    after: str = ""
