"""GET /orchestrator/models: every model that a client may use, with its state and prices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from proxy.control.clock import WallClock
from proxy.control.deployments.blocked import blocked
from proxy.control.deployments.index import DeploymentIndex, IndexedDeployment
from proxy.control.http.operation import Operation
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.identity import Client
from proxy.pricing.rates import in_usd
from proxy.pricing.rating import priced_at
from proxy.server.request import Request


class PricedModel(Struct):
    """``state``: ``available`` if it gets requests now, else ``unavailable`` and ``why``. ``prices``: in USD for a
    million tokens, or for one image, request or web search; ``null``: not known. ``price_source``: the operator or the
    catalog of public prices.
    """

    id: str
    name: str
    provider: str
    upstream_model: str
    type: str
    tags: list[str]
    context_size: int | None
    max_output_tokens: int | None
    state: Literal["available", "unavailable"]
    why: str
    success_rate: float | None
    prices: dict[str, float] | None
    price_source: str | None
    price_version: str | None


class PricedModels(Struct):
    models: list[PricedModel]


class PricedModelsHandler:
    def __init__(self, index: DeploymentIndex, clock: WallClock) -> None:
        self._index = index
        self._clock = clock

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation("usage", "The models that the client may use, with state and prices", PricedModels)
        return (ControlRoute("GET", "/orchestrator/models", "client", self.list, operation),)

    async def list(self, request: Request, client: Client) -> None:
        """GET /orchestrator/models."""
        found = [each for each in self._index if client.access.allows_name(each.provider.name, each.name)]
        send_json(request, 200, PricedModels([self._model(each) for each in found if each.deployment is not None]))

    def _model(self, indexed: IndexedDeployment) -> PricedModel:
        deployment = indexed.deployment
        assert deployment is not None
        model, sheet = deployment.model, deployment.prices
        now, live = self._clock.now(), indexed.live
        reason = blocked(live, indexed.provider.keys, now)
        ended, failed = live.statistics.counts(now)
        rates = priced_at(sheet, self._clock.wall())
        return PricedModel(
            id=indexed.id,
            name=indexed.name,
            provider=indexed.provider.name,
            upstream_model=indexed.upstream_model,
            type="chat" if model is None else model.kind,
            tags=[] if model is None else model.tags,
            context_size=deployment.context_size or None,
            max_output_tokens=(model.max_output_tokens if model is not None else 0) or None,
            state="available" if reason is None else "unavailable",
            why="" if reason is None else reason.why,
            success_rate=round((ended - failed) / ended, 4) if ended else None,
            prices=None if rates is None else in_usd(rates),
            price_source=None if sheet is None else sheet.source,
            price_version=None if sheet is None else sheet.version,
        )
