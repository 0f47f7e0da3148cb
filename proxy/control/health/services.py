"""Health of the services: whether each has an address that takes requests."""

from __future__ import annotations

from typing import Final

from proxy.addresses.book import AddressBook
from proxy.control.clock import WallClock
from proxy.control.health.components import ComponentHealth

RECHECK_SECS: Final = 1.0  # at most this often all services are looked at: /health is open to everyone


class ServicesHealth:
    """The component ``services``: up if every service has a usable address, degraded if some have."""

    def __init__(self, book: AddressBook, clock: WallClock) -> None:
        self._book = book
        self._clock = clock
        self._found: ComponentHealth | None = None
        self._recheck_at = 0.0

    @property
    def state(self) -> ComponentHealth | None:
        """``None``: there are no services."""
        now = self._clock.now()
        if now >= self._recheck_at or not self._book.groups:
            self._recheck_at = now + RECHECK_SECS
            self._found = self._counted(now)
        return self._found

    def _counted(self, now: float) -> ComponentHealth | None:
        groups = self._book.groups
        if not groups:
            return None
        out = sum(not any(address.usable(now) for address in group.addresses) for group in groups.values())
        verb = "service has" if len(groups) == 1 else "services have"
        # Without their names: this is open to everyone.
        why = f"{out} of {len(groups)} {verb} no usable address; see the page Services" if out else ""
        before = self._found
        found = ComponentHealth(not out, self._clock.wall(), why=why, partly=out < len(groups))
        if before is not None and before.status == found.status:
            return ComponentHealth(found.up, before.since, why=why, partly=found.partly)
        return found
