"""API keys in responses. The secret is in the response to its creation only; its hash is in none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from proxy.auth.apikey import ApiKey
from proxy.config.limit_schema import Limits

CONFIGURED: Final = "config:"  # prefix of the ids of keys in the configuration


class KeyView(Struct, rename="camel"):
    """Times are in ISO 8601; ``null``: never, or not known. ``previousUntil``: when the secret before the last
    rotation stops working. Empty ``models`` or ``providers`` allow all of them."""

    id: str
    name: str
    owner: str
    team: str
    project: str
    labels: Mapping[str, str]
    source: Literal["configuration", "database"]
    enabled: bool
    expires: str | None
    models: Sequence[str]
    providers: Sequence[str]
    scopes: Sequence[str]
    limits: Limits | None
    created: str | None
    previous_until: str | None
    object: Literal["api_key"] = "api_key"


class NewKeyView(KeyView, kw_only=True, rename="camel"):
    """``key`` is the secret, which is shown only once. ``notice`` says why it is not accepted yet, if so."""

    key: str
    notice: str | UnsetType = UNSET


class KeyList(Struct):
    """A page in the form of OpenAI's lists; ``last_id`` is the ``after`` of the next page.

    ``database``: whether keys can be created. ``notice``: what to change so that they can, or that they are used.
    """

    data: list[KeyView]
    last_id: str | None
    has_more: bool
    database: bool = True
    notice: str | UnsetType = UNSET
    object: Literal["list"] = "list"


def key_view(key: ApiKey) -> KeyView:
    return KeyView(**_fields(key))


def new_key_view(key: ApiKey, secret: str, notice: str) -> NewKeyView:
    """A key with its secret. An empty ``notice`` is left out."""
    return NewKeyView(key=secret, notice=notice or UNSET, **_fields(key))


def key_list(keys: Sequence[ApiKey], limit: int, *, missing: str = "", unused: str = "") -> KeyList:
    """The first ``limit`` of ``keys``. ``missing``: what is missing for keys in a database."""
    views = [key_view(key) for key in keys[:limit]]
    last = views[-1].id if views else None
    return KeyList(views, last, len(keys) > limit, not missing, missing or unused or UNSET)


def _fields(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "team": key.team,
        "project": key.project,
        "labels": key.labels,
        "source": "configuration" if key.id.startswith(CONFIGURED) else "database",
        "enabled": key.enabled,
        "expires": _iso_time(key.expires_at),
        "models": key.models,
        "providers": key.providers,
        "scopes": key.scopes,
        "limits": key.limits,
        "created": _iso_time(key.created_at or None),
        "previous_until": _iso_time(key.previous_until),
    }


def _iso_time(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, without fractions."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
