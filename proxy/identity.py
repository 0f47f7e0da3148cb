"""The identity of a client, determined once per request from its head."""

from __future__ import annotations

from msgspec import Struct

from proxy.config.schema import Limits
from proxy.routing.access import ALL, Access


class Client(Struct, frozen=True, cache_hash=True):
    """A client. ``id`` is unique across kinds: ``key:…``, ``jwt:…``, ``cert:…``, ``client:…@address`` (from a header),
    ``address:…``.

    Members of ``limits`` replace the configured level ``perClient``. ``passthrough``: the client may use paths that are
    relayed unchanged, including those that keep objects at a provider. The hash is cached, as each request looks up its
    limits by the client.
    """

    id: str
    name: str = ""  # display name
    address: str = ""  # without authentication: the key of the client's address in limits
    access: Access = ALL
    limits: Limits | None = None
    passthrough: bool = True
