"""A configuration that the demo provider serves."""

from __future__ import annotations

from msgspec.structs import replace

from proxy.config.schema import Config, Model, Provider
from proxy.demo.models import MODELS


def demo_config(config: Config, port: int) -> Config:
    """``config`` with the demo provider, which listens on ``port``, as the only provider.

    Models that fail on purpose have no weight, so that auto does not choose them, and fail at any endpoint.
    """
    models = [
        Model(name=model.name, provider="demo", weight=0.0)
        if model.fault
        else Model(name=model.name, provider="demo", type=model.type)
        for model in MODELS
    ]
    provider = Provider(base_url=f"http://127.0.0.1:{port}/v1")
    return replace(config, providers={"demo": provider}, models=models)
