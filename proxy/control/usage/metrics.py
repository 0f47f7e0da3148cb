"""GET /analytics/metrics: the figures of a day, for dashboards that want one number each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from proxy.control.clock import WallClock
from proxy.control.http.operation import Operation
from proxy.control.http.requests import parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.usage.parameters import Question, UsageParameters, question
from proxy.control.usage.store import UsageStore
from proxy.control.usage.views import NANO, TOKENS, iso_time
from proxy.server.request import Request

MOST_NAMES: Final = 1000


class PeriodParameters(Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """``from``, ``to``: ISO 8601 or Unix seconds, by default the last 24 hours; whole hours count."""

    start: str = ""
    end: str = ""


class Figures(Struct):
    """Requests are counted as they were sent to providers, so a retry is another request. Answers from the cache count
    as well: there are ``cached_requests`` of them, which saved ``saved_usd`` as far as it is known.

    ``total_cost_usd``: by reported and by estimated usage; ``unknown_cost_requests`` are in no cost. Averages are
    ``null`` without requests, and leave out those that were lost with their gateway.
    """

    total_requests: int
    successful_requests: int
    failed_requests: int
    success_rate: float | None
    average_latency_ms: float | None
    average_first_token_ms: float | None
    total_tokens: int
    total_cost_usd: float
    unknown_cost_requests: int
    cached_requests: int
    saved_usd: float


class PeriodFigures(Figures, kw_only=True, rename={"start": "from", "end": "to"}):
    """All requests of the period, and those of each model and provider, the dearest first."""

    start: str
    end: str
    models: dict[str, Figures]
    providers: dict[str, Figures]


class AnalyticsMetrics:
    def __init__(self, store: UsageStore, clock: WallClock) -> None:
        self._store = store
        self._clock = clock

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation(
            "usage", "The figures of a period", PeriodFigures, query=PeriodParameters, errors=(501, 503)
        )
        return (ControlRoute("GET", "/analytics/metrics", "admin", self.show, operation),)

    async def show(self, request: Request) -> None:
        """GET /analytics/metrics."""
        given = parse_query(request, PeriodParameters)
        asked = question(UsageParameters(start=given.start, end=given.end), "", self._clock.wall())
        async with self._store.turn("operator"):
            [total] = await self._store.sums(asked, 1)
            models, providers = await self._by("model", asked), await self._by("provider", asked)
        view = PeriodFigures(
            **_members(total.measures),
            start=iso_time(asked.start),
            end=iso_time(asked.end),
            models=models,
            providers=providers,
        )
        send_json(request, 200, view)

    async def _by(self, name: str, asked: Question) -> dict[str, Figures]:
        found = await self._store.sums(replace(asked, groups=(name,)), MOST_NAMES)
        return {each.group[0]: Figures(**_members(each.measures)) for each in found}


def _members(sums: Mapping[str, int]) -> dict[str, Any]:
    attempts, timed, first = sums["attempts"], sums["with_duration"], sums["with_first_content"]
    return {
        "total_requests": attempts,
        "successful_requests": sums["answered"],
        "failed_requests": sums["failed"],
        "success_rate": round(sums["answered"] / attempts, 4) if attempts else None,
        "average_latency_ms": round(sums["duration_ms"] / timed, 1) if timed else None,
        "average_first_token_ms": round(sums["first_content_ms"] / first, 1) if first else None,
        "total_tokens": sum(sums[name] for name in TOKENS),
        "total_cost_usd": (sums["cost"] + sums["cost_estimated"]) / NANO,
        "unknown_cost_requests": sums["unknown"] + sums["unpriced"],
        "cached_requests": sums["from_cache"],
        "saved_usd": sums["saved"] / NANO,
    }
