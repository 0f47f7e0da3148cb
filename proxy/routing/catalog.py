"""What can be asked for, compiled from the configuration: names to deployments.

A catalog never changes; a reload makes a new one, and an exchange keeps the one that it began with.
"""

from __future__ import annotations

import difflib

import msgspec

from proxy.config.schema import Config, Model
from proxy.config.timeouts import Clocks, resolve
from proxy.errors import ClientFault
from proxy.providers.openai import Provider

_encode = msgspec.json.Encoder().encode


class Deployment:
    """One provider's model under one name. ``upstream_model`` is ``None`` where the body's own name goes on."""

    __slots__ = (
        "clocks",
        "model",
        "model_json",
        "name",
        "provider",
        "router_lines",
        "stream_clocks",
        "upstream_model",
    )

    def __init__(
        self, config: Config, provider: Provider, name: str, upstream: str | None, model: Model | None
    ) -> None:
        self.name = name
        self.provider = provider
        self.upstream_model = upstream
        self.model_json = _encode(upstream) if upstream is not None else b""
        self.model = model
        self.router_lines = b""  # the answer's header lines that name this deployment, made when first needed
        self.clocks: Clocks = resolve(config, provider.settings, model, False)
        self.stream_clocks: Clocks = resolve(config, provider.settings, model, True)

    def __repr__(self) -> str:
        return f"<Deployment {self.provider.name}/{self.name}>"


class Catalog:
    """``plan`` proposes deployments for a model name; ``listing`` is the body of GET models."""

    def __init__(self, config: Config, *, version: str, created: int) -> None:
        self.config = config
        self._created = created
        listed = {model.provider for model in config.models}
        self.providers = {
            name: Provider(name, settings, version=version, open_=name not in listed)
            for name, settings in config.providers.items()
        }
        self.deployments = tuple(
            Deployment(config, self.providers[model.provider], model.name, model.upstream_model, model)
            for model in config.models
            if model.provider in self.providers
        )
        self._usable = tuple(d for d in self.deployments if d.model is None or d.model.available)
        self._open = tuple(p for p in self.providers.values() if p.open)
        self._by_name: dict[str, list[Deployment]] = {}
        for named in (_own_names, _upstream_names):  # a model's own name goes before the same name at a provider
            for deployment in self._usable:
                for name in named(deployment):
                    places = self._by_name.setdefault(name, [])
                    if deployment not in places:
                        places.append(deployment)
        self._any = {name: Deployment(config, p, "", None, None) for name, p in self.providers.items()}
        self.listing = _encode({"object": "list", "data": self._objects(), "models": self._rows()})

    def plan(self, model: str | None, pinned: Provider | None = None) -> list[Deployment]:
        """Deployments for a name, best first. Raises ClientFault (404 ``model_not_found``)."""
        if pinned is not None:
            return [self._at(pinned, model)]
        if model is None:
            return [self._first()]
        found = self._by_name.get(model)
        if found is not None:
            return found
        prefix, slash, rest = model.partition("/")
        provider = self.providers.get(prefix) if slash else None
        if provider is not None and provider.open and rest:
            return [self._handing_on(provider, rest)]
        if provider is None and self._open:
            return [self._handing_on(self._open[0], model)]
        raise self.unknown(model)

    def any_model(self, provider: Provider) -> Deployment:
        """The deployment for requests without a model: opaque paths of one provider."""
        return self._any[provider.name]

    def find(self, name: str) -> bytes | None:
        """The OpenAI model object of GET models/{id}, as JSON."""
        found = self._by_name.get(name)
        return _encode(self._object(found[0])) if found else None

    def _first(self) -> Deployment:
        if self._usable:
            return self._usable[0]
        if self._open:
            return self._any[self._open[0].name]
        raise ClientFault("No model is available.", status=404, param="model", code="model_not_found")

    def _at(self, provider: Provider, model: str | None) -> Deployment:
        if model is None:
            return next((d for d in self._usable if d.provider is provider), self._any[provider.name])
        candidates = self._by_name.get(model, [])
        found = next((d for d in candidates if d.provider is provider), None)
        return found or self._handing_on(provider, model.removeprefix(f"{provider.name}/"))

    def _handing_on(self, provider: Provider, model: str) -> Deployment:
        return Deployment(self.config, provider, model, model, None)

    def unknown(self, model: str) -> ClientFault:
        """The 404 for a name that leads nowhere, with the names that it may have meant."""
        names = {d.name for d in self._usable}
        near = difflib.get_close_matches(model[:200], [*self._by_name], n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        if not hint and names:
            hint = f" Known models: {', '.join(sorted(names)[:10])}."
        return ClientFault(
            f"The model {model[:200]!r} does not exist.{hint}",
            status=404,
            param="model",
            code="model_not_found",
        )

    def _objects(self) -> list[dict[str, object]]:
        unique = {deployment.name: deployment for deployment in reversed(self._usable)}
        return [self._object(unique[name]) for name in dict.fromkeys(d.name for d in self._usable)]

    def _object(self, deployment: Deployment) -> dict[str, object]:
        return {
            "id": deployment.name,
            "object": "model",
            "created": self._created,
            "owned_by": deployment.provider.name,
        }

    def _rows(self) -> list[dict[str, object]]:
        return [
            {
                "name": d.name,
                "provider": d.provider.name,
                "type": d.model.type,
                "contextSize": d.model.context_size or None,
                "tags": d.model.tags,
                "available": d.model.available,
            }
            for d in self.deployments
            if d.model is not None
        ]


def _own_names(deployment: Deployment) -> tuple[str, str]:
    return deployment.name, f"{deployment.provider.name}/{deployment.name}"


def _upstream_names(deployment: Deployment) -> tuple[str, ...]:
    name = deployment.upstream_model
    return (name, f"{deployment.provider.name}/{name}") if name else ()
