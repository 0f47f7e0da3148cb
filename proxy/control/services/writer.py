"""Changes of the store by the admin API: checked against all that would be in force, then stored and put in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from proxy.auth.presented import all_presented
from proxy.control.access.credential import AdminCredential
from proxy.control.services.faults import invalid
from proxy.errors import ConfigError
from proxy.server.request import Request
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.live import LiveServices
from proxy.services.store.base import EntryChange
from proxy.services.store.follower import EntryFollower

Plan = Callable[[Entries], Sequence[EntryChange]]

NOT_DURABLE: Final = (
    "There is no database: this is kept in the memory of this process only, and gone when it stops. "
    "Set database.enabled to true in the configuration to keep it."
)


class RoutingWriter:
    """``address`` returns the client's address of a request, for the list of changes."""

    def __init__(
        self,
        services: LiveServices,
        follower: EntryFollower,
        credential: AdminCredential,
        address: Callable[[Request], str],
    ) -> None:
        self._services = services
        self._follower = follower
        self._credential = credential
        self._address = address

    @property
    def notice(self) -> str:
        """What a change should know of the store; ``""``: nothing."""
        return "" if self._follower.store.durable else NOT_DURABLE

    async def write(self, request: Request, plan: Plan) -> Entries:
        """Store what ``plan`` makes of the present entries, as the admin of ``request``.

        Raises what ``plan`` raises, ClientFault (400) for what would be wrong as a whole, and EntriesDown (503).
        """

        def checked(entries: Entries) -> Sequence[EntryChange]:
            changes = plan(entries)
            wanted = with_changes(entries, changes)
            try:
                self._services.check(wanted)
            except ConfigError as error:
                raise invalid(error.mistakes) from None
            return changes

        return await self._follower.change(checked, self._author(request))

    def _author(self, request: Request) -> str:
        """Who sent a request that was authorized."""
        by_token = any(map(self._credential.is_token, all_presented(request.headers)))
        who, address = "admin token" if by_token else "session", self._address(request)
        return f"{who} from {address}" if address else who


def with_changes(entries: Entries, changes: Sequence[EntryChange]) -> Entries:
    for each in changes:
        if each.body is None:
            entries = entries.without(each.kind, each.name)
        else:
            entries = entries.put(RoutingEntry(each.kind, each.name, each.body))
    return entries
