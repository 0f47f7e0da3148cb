"""Who asks, and what that allows: found out once per request, before anything else of it is read."""

from __future__ import annotations

from msgspec import Struct

from proxy.config.schema import Limits
from proxy.routing.access import ALL, Access


class Client(Struct, frozen=True, cache_hash=True):
    """``id`` is unique over all kinds of identity: ``key:…``, ``jwt:…``, ``client:…@address`` (a header's word), and
    ``address:…``.

    ``limits`` override the configuration's level ``perClient`` member by member; ``access`` says which models.
    ``passthrough``: paths that are relayed untouched, and those that hold state at a provider, are open to it.
    Each request finds its limits by it, so its hash is reckoned once.
    """

    id: str
    name: str = ""  # for people
    address: str = ""  # where ``id`` proves nothing: from where it comes, as the limits tell addresses apart
    access: Access = ALL
    limits: Limits | None = None
    passthrough: bool = True
