"""Deployments built from the configuration: their keys, labels, clocks and live state."""

from __future__ import annotations

from typing import TypeAlias

from proxy.config.schema import Config, Model, Timeouts
from proxy.config.timeouts import Clocks, resolve
from proxy.providers.provider import Provider, Site
from proxy.routing.deployment import Deployment
from proxy.routing.live import Registry

# For plain answers and for streams, and the same for endpoints of media.
AllClocks: TypeAlias = tuple[Clocks, Clocks, Clocks, Clocks]


class DeploymentBuilder:
    """``registry`` owns the live state, which is found by a deployment's key."""

    def __init__(self, config: Config, registry: Registry) -> None:
        self._config = config
        self._registry = registry
        self._clocks: dict[tuple[str, Timeouts | None], AllClocks] = {}

    def configured(self, site: Site, model: Model) -> Deployment:
        """One entry of the configuration at one address."""
        return self.build(site, model.name, model.upstream_model, model)

    def build(
        self, site: Site, name: str, upstream: str | None, model: Model | None = None, *, passing: bool = False
    ) -> Deployment:
        """``upstream`` and ``model`` as in ``Deployment``; ``passing``: a client made the name up."""
        provider = site.provider
        label = f"{provider.name}/{name}"
        # By what stays the same at a reload. Another upstream model is another deployment, whatever its name.
        key = f"{label}@{site.base_url}" if upstream in (None, name) else f"{label}={upstream}@{site.base_url}"
        quota = (model.quota_group if model is not None else "") or provider.settings.quota_group
        if len(provider.sites) > 1:
            label = f"{label}#{provider.sites.index(site) + 1}"
        return Deployment(
            site,
            self._registry.live(key, quota, passing=passing),
            self._clocks_of(provider, model),
            name=name,
            upstream_model=upstream,
            model=model,
            label=label,
        )

    def _clocks_of(self, provider: Provider, model: Model | None) -> AllClocks:
        """The same for many, so they are made once."""
        key = provider.name, model.timeouts if model is not None else None
        found = self._clocks.get(key)
        if found is None:
            found = self._clocks[key] = (
                resolve(self._config, provider.settings, model, False),
                resolve(self._config, provider.settings, model, True),
                resolve(self._config, provider.settings, model, False, media=True),
                resolve(self._config, provider.settings, model, True, media=True),
            )
        return found
