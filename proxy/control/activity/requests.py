"""The latest exchanges: a list with filters, and one exchange in detail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.control.activity.record import ExchangeRecord
from proxy.control.activity.recorder import Recorder
from proxy.control.activity.request_views import RequestDetail, RequestListView, request_detail, request_summary
from proxy.control.clock import WallClock
from proxy.control.http.operation import Operation
from proxy.control.http.requests import parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig
from proxy.errors import ClientFault
from proxy.exchange import Outcome
from proxy.observe.mask import Mask
from proxy.server.request import Request


class RequestFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """``model``: as the client or the provider named it. ``before``: a sequence. ``""`` and 0 match every request."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    model: str = ""
    outcome: Outcome | Literal[""] = ""
    before: Annotated[int, Meta(ge=0)] = 0


class RequestLogHandlers:
    """Secrets of the configuration are masked in text that providers and clients wrote."""

    def __init__(self, recorder: Recorder, clock: WallClock, live: LiveConfig) -> None:
        self._recorder = recorder
        self._clock = clock
        self._live = live

    def routes(self) -> Sequence[ControlRoute]:
        list_ = Operation("operator", "List the latest requests", RequestListView, query=RequestFilter)
        show = Operation("operator", "Show a request with its attempts", RequestDetail)
        return (
            ControlRoute("GET", "/admin/requests", "admin", self.list, list_),
            ControlRoute("GET", "/admin/requests/{id}", "admin", self.show, show),
        )

    async def list(self, request: Request) -> None:
        """GET /admin/requests?limit=&model=&outcome=&before=."""
        wanted = parse_query(request, RequestFilter)
        found = list(islice(self._matching(wanted), wanted.limit + 1))
        shown = found[: wanted.limit]
        following = shown[-1].sequence if len(found) > wanted.limit else None
        summaries = [request_summary(record, self._clock) for record in shown]
        send_json(request, 200, RequestListView(self._recorder.capacity, summaries, following))

    async def show(self, request: Request, id_: str) -> None:
        """GET /admin/requests/{id}: the newest with this id."""
        record = self._recorder.find(id_)
        if record is None:
            raise ClientFault("No request with this id is kept.", status=404, code="unknown_request")
        send_json(request, 200, request_detail(record, self._clock, Mask(self._live.secrets)))

    def _matching(self, wanted: RequestFilter) -> Iterator[ExchangeRecord]:
        for record in self._recorder.latest(wanted.before):
            if wanted.outcome and record.outcome != wanted.outcome:
                continue
            if wanted.model and wanted.model not in (record.model, record.request_model):
                continue
            yield record
