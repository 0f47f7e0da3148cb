"""POST /billing/estimate: what a call would use and cost at each candidate. Nothing is sent to a provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, Final

from msgspec import Raw, Struct, json
from msgspec.structs import replace

from proxy.control.clock import WallClock
from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies, parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.dialects.call import Call
from proxy.dialects.usage import Usage, UsageDetails
from proxy.errors import ClientFault
from proxy.identity import Client
from proxy.pricing.cost import NOTHING, UNPRICED, RatedCost
from proxy.pricing.rates import in_usd
from proxy.pricing.rating import priced_at, rate
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import ENDPOINTS, Endpoint
from proxy.routing.plan import Plan
from proxy.routing.spec import Spec
from proxy.server.request import Request

NANO: Final = 1_000_000_000
MOST_CANDIDATES: Final = 50
IMAGES: Final = "images/generations"
_BY_PATH: Final = {each.path: each for each in ENDPOINTS if each.body == "json" and not each.force_stream}
_ANTHROPIC: Final = frozenset(("system", "anthropic_version", "thinking", "stop_sequences", "top_k"))


class EstimateParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``endpoint``: the path that the call is for, such as messages; found by its members if it is absent. ``model``:
    for Google's API, whose calls do not name it.
    """

    endpoint: str = ""
    model: str = ""


class EstimatedTokens(Struct):
    """``output`` is the most that the call allows: its own limit, the model's, or the configured estimate."""

    input: int
    output: int


class EstimatedCandidate(Struct):
    """``cost_usd``: ``null`` without a price, and for images and audio that have no price each. ``prices``: in USD for
    a million tokens.
    """

    id: str
    name: str
    provider: str
    upstream_model: str
    tokens: EstimatedTokens
    cost_usd: float | None
    cost_nano: int | None
    cost_source: str
    price_version: str
    prices: dict[str, float] | None


class SkippedCandidate(Struct):
    """A deployment that would not be asked now."""

    id: str
    why: str


class EstimateView(Struct):
    """``candidates`` in the order in which they would be asked; a real call stops at the first that answers."""

    endpoint: str
    model: str
    candidates: list[EstimatedCandidate]
    skipped: list[SkippedCandidate]
    object: str = "estimate"


class EstimateHandler:
    def __init__(self, live: LiveConfig, clock: WallClock, bodies: RequestBodies) -> None:
        self._live = live
        self._clock = clock
        self._bodies = bodies
        self._random = Random()

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation(
            "usage",
            "What a call would use and cost at each candidate",
            EstimateView,
            query=EstimateParameters,
            body=dict[str, Any],
            example={"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100},
            errors=(403, 404, 503),
            notes="The body is that of a call to any endpoint. Nothing is sent to a provider.",
        )
        return (ControlRoute("POST", "/billing/estimate", "client", self.estimate, operation),)

    async def estimate(self, request: Request, client: Client) -> None:
        """POST /billing/estimate. Raises ClientFault (400, 403, 404)."""
        given = parse_query(request, EstimateParameters)
        body = await self._bodies.read(request)
        endpoint = _endpoint(given.endpoint, body)
        call = endpoint.dialect.requests.read(body)
        if endpoint.in_path:
            if not given.model:
                raise ClientFault("model: a call to Google's API names it in its path.", param="model")
            call.use_model(given.model)
        plan = self._plan(call, endpoint, client)
        candidates = [self._candidate(call, endpoint, each) for each in islice(self._proposed(plan), MOST_CANDIDATES)]
        skipped = [SkippedCandidate(each.label, reason) for each, reason in plan.skipped]
        send_json(request, 200, EstimateView(endpoint.path, call.model or "", candidates, skipped))

    def _plan(self, call: Call, endpoint: Endpoint, client: Client) -> Plan:
        catalog = self._live.catalog
        names, auto = call.names, call.auto
        if catalog.aliases:
            names, auto = catalog.aliases.expand(names, auto)
        spec = Spec(names, auto, call.criteria, endpoint.path, b"", client.access, waited=True)
        return catalog.plan(spec, None, self._clock.now(), self._random)

    def _proposed(self, plan: Plan) -> Iterator[Deployment]:
        now = self._clock.now()
        while (found := plan.next(now) or plan.next_fallback(now)) is not None:
            yield found

    def _candidate(self, call: Call, endpoint: Endpoint, deployment: Deployment) -> EstimatedCandidate:
        estimate, requests = self._live.config.rate_limiting.token_estimate, endpoint.dialect.requests
        input_ = requests.prompt_tokens(call, estimate.per_image, estimate.per_audio)
        most = deployment.model.max_output_tokens if deployment.model is not None else 0
        output = requests.output_tokens(call, most, estimate.output) if endpoint.dialect.generates else 0
        at = self._clock.wall()
        cost = _cost(call, endpoint, deployment, Usage(input_, None, output), at)
        rates = priced_at(deployment.prices, at, size=input_)
        return EstimatedCandidate(
            id=deployment.label,
            name=deployment.name,
            provider=deployment.provider.name,
            upstream_model=deployment.upstream_model or deployment.name,
            tokens=EstimatedTokens(input_, output),
            cost_usd=None if cost.nano is None else cost.nano / NANO,
            cost_nano=cost.nano,
            cost_source=cost.source,
            price_version=cost.version,
            prices=None if rates is None else in_usd(rates),
        )


def _cost(call: Call, endpoint: Endpoint, deployment: Deployment, usage: Usage, at: float) -> RatedCost:
    """The tokens of a prompt are the least part of what an image or a voice costs, so these need a price each."""
    if endpoint.dialect.task == "count":
        return NOTHING
    if endpoint.media:
        rates = priced_at(deployment.prices, at)
        if rates is None or rates.image is None or endpoint.path != IMAGES:
            return UNPRICED
        usage = replace(usage, details=UsageDetails(images=call.choices))
    return rate(deployment.prices, usage, at)


def _endpoint(path: str, body: bytes) -> Endpoint:
    """The endpoint that a call is for. Raises ClientFault (400)."""
    if path:
        found = _BY_PATH.get(path.strip("/"))
        if found is None:
            raise ClientFault(f"endpoint: none of {', '.join(_BY_PATH)}.", param="endpoint", code="invalid_value")
        return found
    try:
        members = json.decode(body, type=dict[str, Raw])
    except (ValueError, RecursionError):
        raise ClientFault("The request body is no JSON object.", code="invalid_json") from None
    if "contents" in members:
        return _BY_PATH["generateContent"]
    if "messages" in members:
        return _BY_PATH["messages" if _ANTHROPIC & members.keys() else "chat/completions"]
    if "input" in members:
        return _BY_PATH["responses"]
    if "prompt" in members:
        return _BY_PATH["completions"]
    raise ClientFault("endpoint: name it, as the members of the call do not tell.", param="endpoint")
