"""What a store of leases does. ``redis.py``, ``database.py`` and ``alone.py`` implement it."""

from __future__ import annotations

from typing import Protocol


class LeaseUnavailable(Exception):
    """The store cannot be reached, or refuses: try again later. The text is for the log."""


class LeaseStore(Protocol):
    """Grants each lease to one holder at a time. Both methods raise LeaseUnavailable, at last after some seconds.

    A store measures time by its own clock, as clocks of processes differ. If it loses what it has stored, or its clock
    is set, a lease may be granted to another holder before its end: the first one learns of it when it renews.
    """

    async def take(self, name: str, holder: str, secs: float) -> bool:
        """Take the lease for so many seconds from now, or renew that of ``holder``. ``False``: another one has it."""
        ...

    async def release(self, name: str, holder: str) -> None:
        """Give it up, if ``holder`` has it."""
        ...
