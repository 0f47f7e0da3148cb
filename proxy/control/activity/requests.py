"""The latest exchanges: a list that can be searched, and one exchange in detail."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.control.activity.recorder import Recorder
from proxy.control.activity.request_views import RequestDetail, RequestListView, request_detail, request_summary
from proxy.control.activity.search import RequestFilter, search
from proxy.control.clock import WallClock
from proxy.control.http.operation import Operation
from proxy.control.http.requests import parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.errors import ClientFault
from proxy.observe.mask import Mask
from proxy.server.request import Request


class RequestLogHandlers:
    """Secrets of the configuration are masked in text that providers and clients wrote."""

    def __init__(self, recorder: Recorder, clock: WallClock, live: LiveConfig) -> None:
        self._recorder = recorder
        self._clock = clock
        self._live = live

    def routes(self) -> Sequence[ControlRoute]:
        list_ = Operation("operator", "List or search the latest requests", RequestListView, query=RequestFilter)
        show = Operation("operator", "Show a request with its attempts", RequestDetail)
        return (
            ControlRoute("GET", "/admin/requests", "admin", self.list, list_),
            ControlRoute("GET", "/admin/requests/{id}", "admin", self.show, show),
        )

    async def list(self, request: Request) -> None:
        """GET /admin/requests?limit=&id=&client=&model=&outcome=&run=&before=."""
        wanted, recorder = parse_query(request, RequestFilter), self._recorder
        found = await search(recorder.latest(wanted.before), wanted, wanted.limit + 1)
        shown = found[: wanted.limit]
        following = shown[-1][1] if len(found) > wanted.limit else None
        summaries = [request_summary(recorder.record(*each), self._clock) for each in shown]
        send_json(request, 200, RequestListView(recorder.capacity, summaries, following))

    async def show(self, request: Request, id_: str) -> None:
        """GET /admin/requests/{id}: the newest with this id."""
        record = self._recorder.find(id_)
        if record is None:
            raise ClientFault("No request with this id is kept.", status=404, code="unknown_request")
        send_json(request, 200, request_detail(record, self._clock, Mask(self._live.secrets)))
