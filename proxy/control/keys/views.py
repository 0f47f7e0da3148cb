"""An API key as it is shown: never its secret, which nobody has any more, and never its hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from proxy.auth.apikey import ApiKey
from proxy.config.schema import Limits
from proxy.control.http.replies import moment

CONFIGURED = "config:"  # what the ids of keys in the configuration begin with


class KeyView(Struct, rename="camel"):
    """Moments in ISO 8601; ``null`` is never, or not known. ``previousUntil``: until then the key before the last
    rotation works. Empty ``models`` and ``providers`` are all of them."""

    id: str
    name: str
    owner: str
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
    """``key`` is the secret, which nobody can ever ask for again. ``notice`` says why it opens nothing yet, if so."""

    key: str
    notice: str | UnsetType = UNSET


class KeyPage(Struct):
    """As OpenAI shows lists; ``last_id`` is the ``after`` of the next page."""

    data: list[KeyView]
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


def view(key: ApiKey) -> KeyView:
    return KeyView(**_shown(key))


def new(key: ApiKey, secret: str, notice: str) -> NewKeyView:
    """The one time that the secret is shown. An empty ``notice`` is left out."""
    return NewKeyView(key=secret, notice=notice or UNSET, **_shown(key))


def page(keys: Sequence[ApiKey], limit: int) -> KeyPage:
    """At most ``limit`` of ``keys``."""
    shown = [view(key) for key in keys[:limit]]
    return KeyPage(shown, shown[-1].id if shown else None, len(keys) > limit)


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "source": "configuration" if key.id.startswith(CONFIGURED) else "database",
        "enabled": key.enabled,
        "expires": moment(key.expires_at),
        "models": key.models,
        "providers": key.providers,
        "scopes": key.scopes,
        "limits": key.limits,
        "created": moment(key.created_at or None),
        "previous_until": moment(key.previous_until),
    }
