"""A configuration that the demo provider serves."""

from __future__ import annotations

from msgspec.structs import replace

from proxy.config.schema import Config, Provider
from proxy.config.schema import Model as Deployment
from proxy.demo.models import MODELS, Model

PROVIDER = "demo"


def demo_config(config: Config, port: int) -> Config:
    """``config`` with the demo provider, which listens on ``port``, as the only provider."""
    provider = Provider(base_url=f"http://127.0.0.1:{port}/v1")
    return replace(config, providers={PROVIDER: provider}, models=deployments())


def deployments() -> list[Deployment]:
    """The demo's models as models.yaml would list them.

    Models that fail on purpose come without a type, so that they fail at any endpoint.
    """
    return [_faulty(model) if model.fault else _good(model) for model in MODELS]


def _faulty(model: Model) -> Deployment:
    return Deployment(name=model.name, provider=PROVIDER, weight=_weight(model))


def _good(model: Model) -> Deployment:
    return Deployment(
        name=model.name,
        provider=PROVIDER,
        type=model.type,
        speed_tier=model.speed,
        tags=list(model.tags),
        context_size=model.context,
        json_response=model.json,
        weight=_weight(model),
    )


def _weight(model: Model) -> float:
    return 1.0 if model.auto else 0.0
