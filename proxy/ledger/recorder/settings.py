"""What the recorder is told at its start, as JSON on its standard input: a command line would show the password."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from proxy.database.address import Address
from proxy.events.settings import EventSettings


class RecorderSettings(Struct, frozen=True):
    """``folder``: the spool, an absolute path. ``once``: end when everything is written, also while gateways live.

    ``parent``: process of the gateway; 0: started by hand. ``default_balance``: of a new account, in nano-USD.
    """

    folder: str
    database: Address
    lost: Literal["estimate", "zero"] = "estimate"
    keep_days: float = 90.0
    keep_hours_days: float = 730.0
    once: bool = False
    parent: int = 0
    default_balance: int = 0
    events: EventSettings = EventSettings()
