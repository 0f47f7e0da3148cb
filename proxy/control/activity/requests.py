"""The routes of the last exchanges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.control.activity.record import Record
from proxy.control.activity.recorder import Recorder
from proxy.control.activity.request_views import RequestsView, detail, summary
from proxy.control.deployments.views import Clock
from proxy.control.http.replies import send
from proxy.control.http.requests import query_of
from proxy.errors import ClientFault
from proxy.exchange import Outcome
from proxy.observe.mask import Mask
from proxy.server.connection import Request


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """``model`` is what the client asked for, or what its provider calls it; ``before`` a sequence; ``""``, 0: any."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    model: str = ""
    outcome: Outcome | Literal[""] = ""
    before: Annotated[int, Meta(ge=0)] = 0


class Requests:
    """``secrets`` are struck out of what providers and clients wrote."""

    def __init__(self, recorder: Recorder, clock: Clock, secrets: Callable[[], Iterable[str]]) -> None:
        self._recorder = recorder
        self._clock = clock
        self._secrets = secrets

    async def list(self, request: Request) -> None:
        """GET /admin/requests?limit=&model=&outcome=&before=."""
        wanted = query_of(request, Wanted)
        found = list(islice(self._matching(wanted), wanted.limit + 1))
        shown = found[: wanted.limit]
        following = shown[-1].sequence if len(found) > wanted.limit else None
        summaries = [summary(record, self._clock) for record in shown]
        send(request, 200, RequestsView(self._recorder.capacity, summaries, following))

    async def show(self, request: Request, id_: str) -> None:
        """GET /admin/requests/{id}: of several with the same id the newest."""
        record = self._recorder.find(id_)
        if record is None:
            raise ClientFault("No request with this id is remembered (any more).", status=404, code="unknown_request")
        send(request, 200, detail(record, self._clock, Mask(self._secrets())))

    def _matching(self, wanted: Wanted) -> Iterator[Record]:
        for record in self._recorder.latest(wanted.before):
            if wanted.outcome and record.outcome != wanted.outcome:
                continue
            if wanted.model and wanted.model not in (record.model, record.request_model):
                continue
            yield record
