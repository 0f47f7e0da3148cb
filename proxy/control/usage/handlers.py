"""The routes of usage: GET /analytics/usage for the operator, GET /billing/usage for each client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from proxy.control.clock import WallClock
from proxy.control.http.operation import Operation
from proxy.control.http.requests import parse_query
from proxy.control.http.responses import NO_STORE, send_json
from proxy.control.http.router import ControlRoute
from proxy.control.usage.parameters import LABEL, Question, UsageParameters, question
from proxy.control.usage.store import Asker, UsageStore
from proxy.control.usage.views import UsageView, iso_time, usage_csv, usage_sums
from proxy.identity import Client
from proxy.server.request import Request
from proxy.server.security import NOSNIFF

_CSV: Final = (
    b"Content-Type: text/csv; charset=utf-8\r\nContent-Disposition: attachment; filename=usage.csv\r\n"
    + NOSNIFF
    + NO_STORE
)
_ERRORS: Final = (501, 503)


class UsageHandlers:
    def __init__(self, store: UsageStore, clock: WallClock) -> None:
        self._store = store
        self._clock = clock

    def routes(self) -> Sequence[ControlRoute]:
        media = ("application/json", "text/csv")
        all_ = Operation(
            "usage", "What was used and what it cost", UsageView, query=UsageParameters, media=media, errors=_ERRORS
        )
        own = replace(
            all_,
            summary="What the client itself used",
        )
        return (
            ControlRoute("GET", "/analytics/usage", "admin", self.analytics, all_),
            ControlRoute("GET", "/admin/analytics/usage", "admin", self.analytics, all_),
            ControlRoute("GET", "/billing/usage", "client", self.own, own),
        )

    async def analytics(self, request: Request) -> None:
        """GET /analytics/usage."""
        given = parse_query(request, UsageParameters, LABEL)
        await self._answer(request, given, question(given, request.query, self._clock.wall()), "operator")

    async def own(self, request: Request, client: Client) -> None:
        """GET /billing/usage: of the client's owner if its credential names one, else of the client alone."""
        given = parse_query(request, UsageParameters, LABEL)
        asked = question(given, request.query, self._clock.wall())
        whose = {"owner": client.owner} if client.owner else {"client": client.id}
        await self._answer(request, given, replace(asked, filters={**asked.filters, **whose}), "client")

    async def _answer(self, request: Request, given: UsageParameters, asked: Question, asker: Asker) -> None:
        async with self._store.turn(asker):
            found = await self._store.sums(asked, given.limit + 1)
            total = found if not asked.groups else await self._store.sums(replace(asked, groups=()), 1)
        shown = found[: given.limit]
        view = UsageView(
            start=iso_time(asked.start),
            end=iso_time(asked.end),
            timezone=asked.zone.key,
            group_by=asked.groups,
            data=[
                usage_sums(each.measures, each.last_hour, dict(zip(asked.groups, each.group, strict=True)))
                for each in shown
                if asked.groups
            ],
            total=usage_sums(total[0].measures, total[0].last_hour),
            truncated=len(found) > given.limit,
        )
        if given.format == "csv":
            request.reply.send(200, _CSV, usage_csv(view))
        else:
            send_json(request, 200, view)
