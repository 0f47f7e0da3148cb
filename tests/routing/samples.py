"""Two providers with four models, and the proposals of plans."""

from __future__ import annotations

from typing import Any

from proxy.config.left_out import Absence, LeftOutModel
from proxy.routing.catalog import Catalog, Deployment
from proxy.routing.live import Registry
from tests.support.catalogs import build, every, plan_for

PROVIDERS = {
    "openrouter": {"baseUrl": "http://127.0.0.1:1/api/v1"},
    "deepseek": {"baseUrl": "http://127.0.0.1:2"},
}
MODELS = [
    {"name": "off", "provider": "deepseek", "available": False, "type": "chat"},
    {
        "name": "deepseek-r1",
        "provider": "openrouter",
        "model": "deepseek/deepseek-r1:free",
        "type": "reasoning",
        "contextSize": 64000,
        "tags": ["reasoning", "code"],
    },
    {"name": "deepseek-chat", "provider": "deepseek"},
    {"name": "deepseek-r1", "provider": "deepseek", "model": "deepseek-reasoner"},
]


R1 = ("openrouter", "deepseek/deepseek-r1:free")
REASONER = ("deepseek", "deepseek-reasoner")
CHAT = ("deepseek", "deepseek-chat")


LEFT_OUT = (
    LeftOutModel(
        "r1", "vendor/r1", "openrouter", "config/models.yaml", Absence("has no key", "set OPENROUTER_API_KEY")
    ),
)


OPENAI = {"baseUrl": "http://127.0.0.1:3/v1"}
ANY = {"a": {"baseUrl": "http://127.0.0.1:3/v1"}, "b": {"baseUrl": "http://127.0.0.1:4"}}


def catalog(models: list[dict[str, Any]] = MODELS, *, registry: Registry | None = None, **providers: Any) -> Catalog:
    return build(models, PROVIDERS | providers, registry=registry)


def planned(known: Catalog, name: str | None, pinned: str | None = None) -> list[tuple[str, str | None]]:
    return pairs(every(plan_for(known, name, pinned=pinned)))


def pairs(deployments: list[Deployment]) -> list[tuple[str, str | None]]:
    return [(each.provider.name, each.upstream_model) for each in deployments]
