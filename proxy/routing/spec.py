"""What one exchange requests from the catalog."""

from __future__ import annotations

from msgspec import Struct

from proxy.routing.access import ALL, Access
from proxy.wire.criteria import NONE, Criteria


class Spec(Struct, frozen=True):
    """Requested models and their constraints.

    ``names``: model names in order of preference. ``auto``: any model, after those names.
    ``affinity``: requests with the same bytes (a session, a prompt's prefix) prefer the same deployment; ``b""``: none.
    ``waited``: the model lists of providers were fetched for this request already.
    """

    names: tuple[str, ...] = ()
    auto: bool = False
    criteria: Criteria = NONE
    endpoint: str = ""
    affinity: bytes = b""
    access: Access = ALL
    waited: bool = False
