"""Models as clients see them: GET models, GET models/{id}, and the 404 for an unknown name.

Clients of Anthropic and Google get lists in their own shape, of the models that they can call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proxy.caches import LruCache
from proxy.config.provider_schema import WireDialect
from proxy.dialects.call import AUTO
from proxy.errors import ClientFault
from proxy.routing import listing
from proxy.routing.access import ALL, Access
from proxy.routing.aliases import Aliases
from proxy.routing.building import DeploymentBuilder
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import ANTHROPIC_MODELS, GEMINI_MODELS, Endpoint, paths_of
from proxy.routing.lists import ModelLists
from proxy.routing.names import Names
from proxy.routing.native_listing import ListedModel, anthropic_model, anthropic_page, gemini_model, gemini_page

MOST_LISTINGS = 100


class ModelPages:
    """Lists configured models first, then those that providers list. ``created`` is the same for all (Unix seconds)."""

    def __init__(
        self,
        deployments: Sequence[Deployment],
        names: Names,
        builder: DeploymentBuilder,
        aliases: Aliases,
        lists: ModelLists,
        created: int,
    ) -> None:
        self._deployments = deployments
        self._names = names
        self._builder = builder
        self._aliases = aliases
        self._lists = lists
        self._created = created
        self._listings: LruCache[tuple[Access, int, bool], bytes] = LruCache(MOST_LISTINGS)

    def page(self, endpoint: Endpoint, access: Access, query: str) -> bytes:
        """The body of GET models in the dialect of ``endpoint``. Raises ClientFault (400) for a wrong query."""
        if endpoint is ANTHROPIC_MODELS:
            return anthropic_page(self._native(access, "messages"), self._created, query)
        if endpoint is GEMINI_MODELS:
            return gemini_page(self._native(access, "gemini"), query)
        return self.listed(access, codex="client_version=" in query)

    def object(self, endpoint: Endpoint, access: Access, name: str) -> bytes | None:
        """The body of GET models/{id} in the dialect of ``endpoint``; ``None`` if the client has no such model."""
        if endpoint not in (ANTHROPIC_MODELS, GEMINI_MODELS):
            return self.find(name, access)
        wire: WireDialect = "messages" if endpoint is ANTHROPIC_MODELS else "gemini"
        found = next((model for model in self._native(access, wire) if model.name == name), None)
        if found is None:
            return None
        return anthropic_model(found, self._created) if endpoint is ANTHROPIC_MODELS else gemini_model(found)

    def _native(self, access: Access, wire: WireDialect) -> list[ListedModel]:
        """The models that clients of this dialect can call, without duplicates."""
        found: dict[str, ListedModel] = {}
        for deployment in filter(listing.available, self._deployments):
            endpoints = frozenset(path for path in paths_of(wire) if deployment.serves(path))
            if endpoints and access.allows(deployment):
                most = 0 if deployment.model is None else deployment.model.max_output_tokens
                listed = ListedModel(deployment.name, endpoints, deployment.context_size, most)
                found.setdefault(deployment.name, listed)
        for alias, deployments in self._aliased(access):
            served = frozenset(path for path in paths_of(wire) if any(each.serves(path) for each in deployments))
            if served:
                found.setdefault(alias, ListedModel(alias, served))
        for provider, name, ours in self._names.unlisted.listed():
            served = self._builder.paths(provider.sites, wire)
            if served and access.allows_name(provider.name, name) and not self._names.is_configured(ours):
                found.setdefault(ours, ListedModel(ours, served))
        return list(found.values())

    def listed(self, access: Access, *, codex: bool = False) -> bytes:
        """The body of OpenAI's GET models for clients with this access.

        ``codex``: for Codex, which expects descriptions of its own as ``models``, and gets none.
        """
        key = access, self._lists.version, codex
        found = self._listings.get(key)
        if found is None:
            own = [each for each in self._deployments if access.allows(each)]
            fetched = [(alias, deployments[0].provider.name) for alias, deployments in self._aliased(access)]
            fetched += [
                (ours, provider.name)
                for provider, name, ours in self._names.unlisted.listed()
                if access.allows_name(provider.name, name) and not self._names.is_configured(ours)
            ]
            found = listing.listing(own, fetched, self._created, details=not codex)
            self._listings.put(key, found)
        return found

    def _aliased(self, access: Access) -> Iterator[tuple[str, list[Deployment]]]:
        """Aliases without a pattern, with the available deployments that they stand for and this access allows."""
        for alias, targets in self._aliases.exact.items():
            tiers = [tier for name in targets for tier in self._names.configured(name)]
            candidates = [deployment for tier in tiers for deployment in tier.deployments]
            if AUTO in targets:
                candidates += filter(listing.available, self._deployments)
            if found := [deployment for deployment in candidates if access.allows(deployment)]:
                yield alias, found

    def find(self, name: str, access: Access = ALL) -> bytes | None:
        """The OpenAI model object for GET models/{id}, as JSON; ``None`` if the client has no such model."""
        for alias, deployments in self._aliased(access):
            if alias == name:
                return listing.model_object(name, deployments[0].provider.name, self._created)
        for tier in self._names.configured(name):
            for deployment in tier.deployments:
                if access.allows(deployment):
                    return listing.model_object(deployment.name, deployment.provider.name, self._created)
        for provider, model, ours in self._names.unlisted.listed():
            if name in (ours, f"{provider.name}/{model}") and access.allows_name(provider.name, model):
                return listing.model_object(name, provider.name, self._created)
        return None

    def unknown(self, model: str, access: Access = ALL) -> ClientFault:
        """The 404 for an unknown name, with suggestions that this access allows."""
        providers = [
            provider.name
            for provider in self._names.unlisted.possible_providers(model)
            if access.allows_provider(provider)
        ]
        if (out := self._names.unlisted.left_out(model)) is not None and access.allows_name(out.provider, out.name):
            return listing.left_out(model, out, providers)
        listed_only = self._names.listed_only(model)
        if listed_only is not None and access.allows_provider(listed_only[0]):
            provider, rest = listed_only
            own, upstream = self._names.known(access, provider)
            return listing.unlisted(model, rest, provider.name, [*own, *upstream])
        own, upstream = self._names.known(access)
        upstream += [
            ours for provider, name, ours in self._names.unlisted.listed() if access.allows_name(provider.name, name)
        ]
        return listing.unknown(model, [*own, *upstream], own, providers)
