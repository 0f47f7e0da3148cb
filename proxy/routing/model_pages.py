"""The models as clients see them: GET models, GET models/{id}, and the 404 for a name that leads nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.errors import ClientFault
from proxy.routing import listing
from proxy.routing.access import ALL, Access
from proxy.routing.deployment import Deployment
from proxy.routing.lists import ModelLists
from proxy.routing.lru import LruCache
from proxy.routing.names import Names

MOST_LISTINGS = 100


class ModelPages:
    """Models of the configuration first, then those that providers list themselves. ``created`` is told of each."""

    def __init__(self, deployments: Sequence[Deployment], names: Names, lists: ModelLists, created: int) -> None:
        self._deployments = deployments
        self._names = names
        self._lists = lists
        self._created = created
        self._listings: LruCache[tuple[Access, int], bytes] = LruCache(MOST_LISTINGS)

    def listed(self, access: Access) -> bytes:
        """The body of GET models for whoever may use that much."""
        key = access, self._lists.version
        found = self._listings.get(key)
        if found is None:
            own = [each for each in self._deployments if access.allows(each)]
            fetched = [
                (ours, provider.name)
                for provider, name, ours in self._names.listed()
                if access.permits(provider, name) and not self._names.means_configured(ours)
            ]
            found = listing.listing(own, fetched, self._created)
            self._listings.put(key, found)
        return found

    def find(self, name: str, access: Access = ALL) -> bytes | None:
        """The OpenAI model object of GET models/{id}, as JSON; ``None``: there is none for whoever asks."""
        for step in self._names.configured(name):
            for deployment in step.deployments:
                if access.allows(deployment):
                    return listing.one(deployment.name, deployment.provider.name, self._created)
        for provider, model, ours in self._names.listed():
            if name in (ours, f"{provider.name}/{model}") and access.permits(provider, model):
                return listing.one(name, provider.name, self._created)
        return None

    def unknown(self, model: str, access: Access = ALL) -> ClientFault:
        """The 404 for a name that leads nowhere, with the names that whoever may use that much may have meant."""
        takers = [provider.name for provider in self._names.takers(model) if access.reaches(provider)]
        if (out := self._names.left_out(model)) is not None and access.permits_at(out.provider, out.name):
            return listing.left_out(model, out, takers)
        closed = self._names.closed(model)
        if closed is not None and access.reaches(closed[0]):
            provider, rest = closed
            own, upstream = self._names.known(access, provider)
            return listing.unlisted(model, rest, provider.name, [*own, *upstream])
        own, upstream = self._names.known(access)
        upstream += [ours for provider, name, ours in self._names.listed() if access.permits(provider, name)]
        return listing.unknown(model, [*own, *upstream], own, takers)
