"""The rules as they are now, over the store that counts: what each client and deployment wants of it, remembered."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Protocol, TypeVar

from proxy.identity import Client
from proxy.limits.base import Limit, Store
from proxy.limits.prepared import Prepared, PreparedCosts, Unprepared
from proxy.limits.rules import Rules

MOST_CLIENTS = 4096  # whose demands are remembered, some 700 bytes each
MOST_DEPLOYMENTS = 1024  # the same; names that only a provider knows are among them

K = TypeVar("K", bound=Hashable)


class Tally(Protocol):
    def admitted(self) -> None: ...
    def limited(self, level: str) -> None: ...


class Demands(dict[K, PreparedCosts]):
    """``demands[key]`` is what ``make`` makes of the key; never more than ``most`` are kept."""

    __slots__ = ("_make", "_most")

    def __init__(self, make: Callable[[K], PreparedCosts], most: int) -> None:
        self._make = make
        self._most = most

    def __missing__(self, key: K) -> PreparedCosts:
        demand = self._make(key)
        if len(self) >= self._most:
            self.clear()  # in a flood of names each comes once, whichever were kept
        self[key] = demand
        return demand


class LimiterSnapshot:
    """What holds for exchanges that begin between two reloads; they keep it.

    ``before`` are the demands of a client (``None``: nobody is asked who it is) before the body is read, ``at`` those
    of a deployment, by its name and its provider's, as far as no estimate of tokens is needed for them. ``prepared``
    takes them, ``store`` is given back to. ``leases`` makes names for holders of slots; ``wall`` tells Unix seconds.
    """

    __slots__ = ("_clients", "at", "before", "leases", "prepared", "rules", "store", "tally", "wall")

    def __init__(
        self, rules: Rules, store: Store, leases: Iterator[int], wall: Callable[[], float], tally: Tally
    ) -> None:
        self.rules = rules
        self.store = store
        self.prepared: Prepared = store if isinstance(store, Prepared) else Unprepared(store)
        self.leases = leases
        self.wall = wall
        self.tally = tally
        # A subscript of a subclass of dict takes three times as long.
        self._clients: Demands[Client | None] = Demands(self._before, MOST_CLIENTS)
        self.before: Callable[[Client | None], PreparedCosts] = self._clients.__getitem__
        self.at: Callable[[tuple[str, str]], PreparedCosts] = Demands(self._at, MOST_DEPLOYMENTS).__getitem__

    def own_limits(self) -> dict[tuple[str, str], Limit]:
        """By name and client: the limits of clients with limits of their own, as far as they are remembered."""
        found: dict[tuple[str, str], Limit] = {}
        for client in list(self._clients):
            if client is not None and client.limits is not None:
                bounds = self.rules.client(client.limits)
                found |= {(limit.name, client.id): limit for limit in bounds.all}
        return found

    def _before(self, client: Client | None) -> PreparedCosts:
        return self.prepared.prepare(self.rules.before(client))

    def _at(self, names: tuple[str, str]) -> PreparedCosts:
        return self.prepared.prepare(self.rules.at(*names))
