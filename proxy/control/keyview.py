"""An API key as it is shown: never its secret, which nobody has any more, and never its hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.auth.apikey import ApiKey
from proxy.control.replies import moment

CONFIGURED = "config:"  # what the ids of keys in the configuration begin with


def view(key: ApiKey) -> dict[str, Any]:
    """``null`` is never, or not known. ``previousUntil``: until then the key before the last rotation works."""
    return {
        "id": key.id,
        "object": "api_key",
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
        "previousUntil": moment(key.previous_until),
    }


def page(keys: Sequence[ApiKey], limit: int) -> dict[str, Any]:
    """At most ``limit`` of ``keys`` as OpenAI shows lists; ``last_id`` is the ``after`` of the next page."""
    shown = [view(key) for key in keys[:limit]]
    last = shown[-1]["id"] if shown else None
    return {"object": "list", "data": shown, "last_id": last, "has_more": len(keys) > limit}
