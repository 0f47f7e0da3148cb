"""Every deployment that an operator may look at and act on, by the id that it is shown under."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from proxy.providers.provider import Provider
from proxy.routing.catalog import Catalog
from proxy.routing.deployment import Deployment
from proxy.routing.live import LiveState, Registry


class Member(Struct, frozen=True, eq=False):
    """``id`` is its label, which holds no address.

    ``deployment`` is ``None`` for a name that a client made up and that was handed on to its provider.
    """

    id: str
    live: LiveState
    name: str
    provider: Provider
    upstream_model: str
    deployment: Deployment | None


class DeploymentIndex:
    """``catalog`` is the one in force, ``now`` the clock of breakers and statistics.

    Those of the configuration come first, the fallback among them; then those that clients' own names made, for as
    long as anything is known of them.
    """

    def __init__(self, catalog: Callable[[], Catalog], registry: Registry, now: Callable[[], float]) -> None:
        self._catalog = catalog
        self._registry = registry
        self.now = now
        self._compiled: Catalog | None = None
        self._configured: dict[str, Member] = {}  # by key

    @property
    def catalog(self) -> Catalog:
        return self._catalog()

    def __iter__(self) -> Iterator[Member]:
        configured = self._current()
        yield from configured.values()
        for live in self._registry:
            if live.key not in configured and self._is_known(live):
                member = self._made_up(live)
                if member is not None:
                    yield member

    def named(self, name: str) -> list[Member]:
        """The one with this id, or else all that clients ask for by this name; ``[]``: there is none."""
        members = list(self)
        found = [member for member in members if member.id == name]
        return found[:1] or [member for member in members if member.name == name]

    def id_of(self, key: str) -> str | None:
        """Under which id the deployment with this key is shown; ``None``: its provider is gone."""
        member = self._current().get(key)
        if member is None:
            live = next((each for each in self._registry if each.key == key), None)
            member = self._made_up(live) if live is not None else None
        return member.id if member is not None else None

    def _current(self) -> dict[str, Member]:
        catalog = self._catalog()
        if catalog is not self._compiled:
            self._compiled, self._configured = catalog, _members(catalog)
        return self._configured

    def _is_known(self, live: LiveState) -> bool:
        return bool(live.in_flight or live.breaker.forced_open or live.statistics.counts(self.now())[0])

    def _made_up(self, live: LiveState) -> Member | None:
        """From its key, ``provider/name@address``; ``None`` where there is no such provider any more."""
        label, _, rest = live.key.rpartition("@http")
        provider_name, _, name = label.partition("/")
        provider = self._catalog().providers.get(provider_name)
        if provider is None:
            return None
        name, _, upstream = name.partition("=")
        place = next((n for n, site in enumerate(provider.sites, 1) if site.base_url == f"http{rest}"), 0)
        id_ = f"{provider_name}/{name}" + (f"#{place}" if place and len(provider.sites) > 1 else "")
        return Member(id_, live, name, provider, upstream or name, None)


def _members(catalog: Catalog) -> dict[str, Member]:
    return {each.key: _member(each) for each in (*catalog.deployments, *catalog.fallback)}


def _member(deployment: Deployment) -> Member:
    name, upstream = deployment.name, deployment.upstream_model or ""
    return Member(deployment.label, deployment.live, name, deployment.provider, upstream, deployment)
