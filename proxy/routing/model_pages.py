"""Models as clients see them: GET models, GET models/{id}, and the 404 for an unknown name."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.caches import LruCache
from proxy.errors import ClientFault
from proxy.routing import listing
from proxy.routing.access import ALL, Access
from proxy.routing.deployment import Deployment
from proxy.routing.lists import ModelLists
from proxy.routing.names import Names

MOST_LISTINGS = 100


class ModelPages:
    """Lists configured models first, then those that providers list. ``created`` is the same for all (Unix seconds)."""

    def __init__(self, deployments: Sequence[Deployment], names: Names, lists: ModelLists, created: int) -> None:
        self._deployments = deployments
        self._names = names
        self._lists = lists
        self._created = created
        self._listings: LruCache[tuple[Access, int], bytes] = LruCache(MOST_LISTINGS)

    def listed(self, access: Access) -> bytes:
        """The body of GET models for clients with this access."""
        key = access, self._lists.version
        found = self._listings.get(key)
        if found is None:
            own = [each for each in self._deployments if access.allows(each)]
            fetched = [
                (ours, provider.name)
                for provider, name, ours in self._names.listed()
                if access.allows_name(provider.name, name) and not self._names.is_configured(ours)
            ]
            found = listing.listing(own, fetched, self._created)
            self._listings.put(key, found)
        return found

    def find(self, name: str, access: Access = ALL) -> bytes | None:
        """The OpenAI model object for GET models/{id}, as JSON; ``None`` if the client has no such model."""
        for tier in self._names.configured(name):
            for deployment in tier.deployments:
                if access.allows(deployment):
                    return listing.model_object(deployment.name, deployment.provider.name, self._created)
        for provider, model, ours in self._names.listed():
            if name in (ours, f"{provider.name}/{model}") and access.allows_name(provider.name, model):
                return listing.model_object(name, provider.name, self._created)
        return None

    def unknown(self, model: str, access: Access = ALL) -> ClientFault:
        """The 404 for an unknown name, with suggestions that this access allows."""
        providers = [
            provider.name for provider in self._names.possible_providers(model) if access.allows_provider(provider)
        ]
        if (out := self._names.left_out(model)) is not None and access.allows_name(out.provider, out.name):
            return listing.left_out(model, out, providers)
        listed_only = self._names.listed_only(model)
        if listed_only is not None and access.allows_provider(listed_only[0]):
            provider, rest = listed_only
            own, upstream = self._names.known(access, provider)
            return listing.unlisted(model, rest, provider.name, [*own, *upstream])
        own, upstream = self._names.known(access)
        upstream += [ours for provider, name, ours in self._names.listed() if access.allows_name(provider.name, name)]
        return listing.unknown(model, [*own, *upstream], own, providers)
