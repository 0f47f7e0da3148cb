"""Every deployment that an operator can see and control, by its id."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from proxy.control.live import LiveConfig
from proxy.providers.provider import Provider
from proxy.routing.catalog import Catalog
from proxy.routing.deployment import Deployment
from proxy.routing.live import LiveState


class IndexedDeployment(Struct, frozen=True, eq=False):
    """A deployment with the label under which it is shown (``id``), which holds no address.

    ``deployment`` is ``None`` for a model name from a client that was passed on to its provider.
    """

    id: str
    live: LiveState
    name: str
    provider: Provider
    upstream_model: str
    deployment: Deployment | None


class DeploymentIndex:
    """Iterates over configured deployments (fallback included), then over those made from clients' model names.

    The latter are listed as long as they have requests or state. ``now`` is the clock of breakers and statistics.
    """

    def __init__(self, live: LiveConfig, now: Callable[[], float]) -> None:
        self._live = live
        self.now = now
        self._indexed: Catalog | None = None  # the catalog of ``_configured``
        self._configured: dict[str, IndexedDeployment] = {}  # by key

    @property
    def catalog(self) -> Catalog:
        return self._live.catalog

    def __iter__(self) -> Iterator[IndexedDeployment]:
        configured = self._by_key()
        yield from configured.values()
        for live in self._live.registry:
            if live.key not in configured and self._has_state(live):
                found = self._from_key(live)
                if found is not None:
                    yield found

    def find(self, name: str) -> list[IndexedDeployment]:
        """The deployment with this id, else all deployments of the model with this name."""
        deployments = list(self)
        found = [each for each in deployments if each.id == name]
        return found[:1] or [each for each in deployments if each.name == name]

    def id_of(self, key: str) -> str | None:
        """The id of the deployment with this key; ``None`` if its provider no longer exists."""
        found = self._by_key().get(key)
        if found is None:
            live = next((each for each in self._live.registry if each.key == key), None)
            found = self._from_key(live) if live is not None else None
        return found.id if found is not None else None

    def configured(self, key: str) -> IndexedDeployment | None:
        """The configured deployment with this key, fallback included."""
        return self._by_key().get(key)

    def _by_key(self) -> dict[str, IndexedDeployment]:
        catalog = self._live.catalog
        if catalog is not self._indexed:
            self._indexed = catalog
            compiled = (*catalog.deployments, *catalog.discovered, *catalog.fallback)
            self._configured = {each.key: _indexed(each) for each in compiled}
        return self._configured

    def _has_state(self, live: LiveState) -> bool:
        return bool(live.in_flight or live.breaker.forced_open or live.statistics.counts(self.now())[0])

    def _from_key(self, live: LiveState) -> IndexedDeployment | None:
        """Parse the key, ``provider/name@address``; ``None`` if the provider no longer exists."""
        label, _, rest = live.key.rpartition("@http")
        provider_name, _, name = label.partition("/")
        provider = self._live.catalog.providers.get(provider_name)
        if provider is None:
            return None
        name, _, upstream = name.partition("=")
        number = next((each.address.number for each in provider.sites if each.base_url == f"http{rest}"), 0)
        id_ = f"{provider_name}/{name}" + (f"#{number}" if number else "")
        return IndexedDeployment(id_, live, name, provider, upstream or name, None)


def _indexed(deployment: Deployment) -> IndexedDeployment:
    name, upstream = deployment.name, deployment.upstream_model or ""
    return IndexedDeployment(deployment.label, deployment.live, name, deployment.provider, upstream, deployment)
