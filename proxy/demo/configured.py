"""The demo provider for configurations without providers."""

from __future__ import annotations

from msgspec.structs import replace

from proxy.config.provider_schema import Dialects, DialectSettings, ProviderSettings
from proxy.config.provider_schema import ModelSettings as Deployment
from proxy.config.schema import Config
from proxy.demo.models import MODELS, DemoModel
from proxy.demo.server import Demo

PROVIDER = "demo"


class DemoProvider:
    """Listens on a free port from the first configuration that needs it until ``stop``."""

    def __init__(self) -> None:
        self._demo: Demo | None = None
        self._port = 0

    @property
    def running(self) -> bool:
        return self._demo is not None

    async def fill(self, config: Config) -> Config:
        """``config`` with the demo provider, if it has no provider and ``demo`` allows it."""
        if config.providers or config.demo == "never":
            return config
        if self._demo is None:
            self._demo = Demo()
            self._port = await self._demo.start("127.0.0.1", 0)
        return demo_config(config, self._port)

    async def stop(self) -> None:
        if self._demo is not None:
            await self._demo.stop()


def demo_config(config: Config, port: int) -> Config:
    """``config`` with the demo provider, which listens on ``port``, as the only provider."""
    base = f"http://127.0.0.1:{port}/v1"
    dialects = Dialects(messages=DialectSettings(), gemini=DialectSettings(base_url=f"{base}beta"))
    provider = ProviderSettings(base_url=base, dialects=dialects)
    return replace(config, providers={PROVIDER: provider}, models=deployments())


def deployments() -> list[Deployment]:
    """The demo's models as models.yaml would list them.

    Models that fail on purpose come without a type, so that they fail at any endpoint.
    """
    return [_faulty(model) if model.fault else _good(model) for model in MODELS]


def _faulty(model: DemoModel) -> Deployment:
    return Deployment(name=model.name, provider=PROVIDER, weight=_weight(model))


def _good(model: DemoModel) -> Deployment:
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


def _weight(model: DemoModel) -> float:
    return 1.0 if model.auto else 0.0
