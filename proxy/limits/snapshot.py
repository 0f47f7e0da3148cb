"""The rules between two reloads, and the store that they apply to, with prepared costs of clients and deployments."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Final, Protocol, TypeVar

from proxy.caches import Memo
from proxy.identity import Client
from proxy.limits.base import Limit, Store
from proxy.limits.prepared import PreparedCosts, PreparedStore, UnpreparedStore
from proxy.limits.rules import Rules

MOST_CLIENTS: Final = 4096  # in the cache, some 700 bytes each
MOST_DEPLOYMENTS: Final = 1024  # the same; includes model names that are not configured

K = TypeVar("K", bound=Hashable)


class Counter(Protocol):
    """A number that its owner reads."""

    value: float


class Tally(Protocol):
    """Counts admitted and refused requests. Almost all are admitted: ``admitted`` is incremented without a call."""

    @property
    def admitted(self) -> Counter: ...
    def limited(self, level: str) -> None: ...


class _PreparedCache(Memo[K, PreparedCosts]):
    """Prepared costs by client, or by deployment."""

    def __init__(self, prepare: Callable[[K], PreparedCosts], most: int) -> None:
        super().__init__(most)
        self._prepare = prepare

    def compute(self, key: K) -> PreparedCosts:
        return self._prepare(key)


class LimiterSnapshot:
    """What applies to exchanges that begin between two reloads; they keep it.

    ``client_costs(client)``: costs before the body is read (``None``: no authentication).
    ``deployment_costs((name, provider))``: costs of a deployment, without tokens.
    ``leases`` numbers the holders of slots; ``wall`` returns Unix seconds.
    """

    __slots__ = (
        "_clients",
        "client_costs",
        "deployment_costs",
        "leases",
        "prepared_store",
        "rules",
        "store",
        "tally",
        "wall",
    )

    def __init__(
        self, rules: Rules, store: Store, leases: Iterator[int], wall: Callable[[], float], tally: Tally
    ) -> None:
        self.rules = rules
        self.store = store
        self.prepared_store: PreparedStore = store if isinstance(store, PreparedStore) else UnpreparedStore(store)
        self.leases = leases
        self.wall = wall
        self.tally = tally
        # A bound ``__getitem__``: a subscript of a subclass of dict takes three times as long.
        self._clients: _PreparedCache[Client | None] = _PreparedCache(self._client_costs, MOST_CLIENTS)
        self.client_costs: Callable[[Client | None], PreparedCosts] = self._clients.__getitem__
        deployments: _PreparedCache[tuple[str, str]] = _PreparedCache(self._deployment_costs, MOST_DEPLOYMENTS)
        self.deployment_costs: Callable[[tuple[str, str]], PreparedCosts] = deployments.__getitem__

    def own_limits(self) -> dict[tuple[str, str], Limit]:
        """Limits of clients in the cache that have limits of their own, by the limit's name and the client."""
        found: dict[tuple[str, str], Limit] = {}
        for client in list(self._clients):
            if client is not None and client.limits is not None:
                bounds = self.rules.client(client.limits)
                found |= {(limit.name, client.id): limit for limit in bounds.all}
        return found

    def _client_costs(self, client: Client | None) -> PreparedCosts:
        return self.prepared_store.prepare(self.rules.client_costs(client))

    def _deployment_costs(self, names: tuple[str, str]) -> PreparedCosts:
        return self.prepared_store.prepare(self.rules.deployment_costs(*names))
