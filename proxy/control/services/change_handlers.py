"""The list of changes of services and routes: who changed what, and when."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.control.http.operation import Operation
from proxy.control.http.requests import parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.services.route_views import RoutingChangeList, change_view
from proxy.control.services.schemas import ChangeListQuery
from proxy.server.request import Request
from proxy.services.store.follower import EntryFollower


class ChangeHandlers:
    def __init__(self, follower: EntryFollower) -> None:
        self._follower = follower

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation(
            "services",
            "Who changed which service or route, the last first",
            RoutingChangeList,
            query=ChangeListQuery,
            errors=(503,),
        )
        return (ControlRoute("GET", "/admin/routing-changes", "admin", self.list, operation),)

    async def list(self, request: Request) -> None:
        """GET /admin/routing-changes?limit=&after=."""
        query = parse_query(request, ChangeListQuery)
        found = await self._follower.store.changes(query.limit + 1, query.after)
        views = [change_view(each) for each in found[: query.limit]]
        last = views[-1].version if views else None
        send_json(request, 200, RoutingChangeList(views, last, len(found) > query.limit))
