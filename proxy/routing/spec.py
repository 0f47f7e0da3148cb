"""What one exchange asks of the catalog."""

from __future__ import annotations

from msgspec import Struct

from proxy.routing.access import ALL, Access
from proxy.wire.criteria import NONE, Criteria


class Spec(Struct, frozen=True):
    """``names`` are tried in order; ``auto`` says that any other model may follow, or is meant from the beginning.

    ``endpoint`` is the path that is asked for, by which breakers tell what is unavailable. Requests with the same
    ``affinity`` belong together (a session, a prompt's prefix); ``b""``: it does not matter who answers.
    ``access`` is what whoever asks may use. ``waited``: the lists of providers were waited for already.
    """

    names: tuple[str, ...] = ()
    auto: bool = False
    criteria: Criteria = NONE
    endpoint: str = ""
    affinity: bytes = b""
    access: Access = ALL
    waited: bool = False
