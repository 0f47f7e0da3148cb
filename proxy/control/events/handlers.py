"""The routes of events: who gets them, dead events, and the dead letters of the broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from proxy.control.events.letters import BrokerLetters
from proxy.control.events.receivers import ReceiverSurvey
from proxy.control.events.schemas import (
    DeadEventParameters,
    DeadEventSelection,
    DeadLetterParameters,
    DeadLetterSelection,
    read_after,
)
from proxy.control.events.store import EventStore
from proxy.control.events.views import (
    ChangedView,
    DeadEventList,
    DeadEventView,
    DeadLetterList,
    EventsView,
    dead_event,
    dead_event_list,
    dead_letter,
)
from proxy.control.http.operation import Operation
from proxy.control.http.requests import RequestBodies, parse_query
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.database.outbox_rows import Changed, DeadFilter
from proxy.errors import ClientFault
from proxy.server.request import Request

_DEAD: Final = "/admin/dead-events"
_LETTERS: Final = "/admin/dead-letters"
_UNAVAILABLE: Final = (501, 503)  # no outbox or no broker, or it does not respond
_AGAIN: Final = "At most 20,000 a request: `more` says that there are others."


class EventHandlers:
    def __init__(
        self, survey: ReceiverSurvey, store: EventStore, letters: BrokerLetters, bodies: RequestBodies
    ) -> None:
        self._survey = survey
        self._store = store
        self._letters = letters
        self._bodies = bodies

    def routes(self) -> Sequence[ControlRoute]:
        events, some = DeadEventSelection, {"seqs": [17, 18]}
        survey = Operation("operator", "Who gets events, and what waits for them", EventsView, errors=_UNAVAILABLE)
        dead = Operation(
            "operator",
            "Events that a receiver did not take in time",
            DeadEventList,
            query=DeadEventParameters,
            errors=_UNAVAILABLE,
        )
        one = Operation("operator", "Show a dead event", DeadEventView, errors=_UNAVAILABLE)
        again = Operation(
            "operator",
            "Send dead events again",
            ChangedView,
            body=events,
            example=some,
            errors=_UNAVAILABLE,
            notes=_AGAIN,
        )
        delete = Operation(
            "operator", "Delete dead events", ChangedView, body=events, example=some, errors=_UNAVAILABLE, notes=_AGAIN
        )
        letters = Operation(
            "operator",
            "Look at messages that consumers refused, at the broker",
            DeadLetterList,
            query=DeadLetterParameters,
            errors=_UNAVAILABLE,
        )
        letters_again = Operation(
            "operator",
            "Move messages that consumers refused back to their queues",
            ChangedView,
            body=DeadLetterSelection,
            example={"all": True},
            errors=_UNAVAILABLE,
        )
        return (
            ControlRoute("GET", "/admin/event-receivers", "admin", self.receivers, survey),
            ControlRoute("GET", _DEAD, "admin", self.dead, dead),
            ControlRoute("GET", f"{_DEAD}/{{seq}}", "admin", self.dead_one, one),
            ControlRoute("POST", f"{_DEAD}/send-again", "admin", self.send_again, again),
            ControlRoute("POST", f"{_DEAD}/delete", "admin", self.delete, delete),
            ControlRoute("GET", _LETTERS, "admin", self.dead_letters, letters),
            ControlRoute("POST", f"{_LETTERS}/send-again", "admin", self.send_letters_again, letters_again),
        )

    async def receivers(self, request: Request) -> None:
        """GET /admin/event-receivers."""
        send_json(request, 200, await self._survey.survey())

    async def dead(self, request: Request) -> None:
        """GET /admin/dead-events?limit=&after=&receiver=."""
        given = parse_query(request, DeadEventParameters)
        after = read_after(given.after)
        wanted = DeadFilter(receiver=given.receiver)
        found = await self._store.dead(wanted, given.limit + 1, after)
        send_json(request, 200, dead_event_list(found, given.limit))

    async def dead_one(self, request: Request, seq: str) -> None:
        """GET /admin/dead-events/{seq}: 404 also for an event that was sent again."""
        found = await self._store.dead(DeadFilter([int(seq)]), 1) if seq.isdecimal() and len(seq) <= 18 else ()
        if not found:
            raise ClientFault("There is no dead event with this number.", status=404, code="unknown_event")
        send_json(request, 200, dead_event(found[0]))

    async def send_again(self, request: Request) -> None:
        """POST /admin/dead-events/send-again."""
        await self._change(request, self._store.send_again)

    async def delete(self, request: Request) -> None:
        """POST /admin/dead-events/delete. No DELETE with a body, which HTTP gives no meaning (RFC 9110, 9.3.5)."""
        await self._change(request, self._store.delete)

    async def dead_letters(self, request: Request) -> None:
        """GET /admin/dead-letters?limit=."""
        given = parse_query(request, DeadLetterParameters)
        found = await self._letters.look(given.limit)
        send_json(request, 200, DeadLetterList([dead_letter(each) for each in found.letters]))

    async def send_letters_again(self, request: Request) -> None:
        """POST /admin/dead-letters/send-again."""
        given = await self._bodies.decode(request, DeadLetterSelection)
        _require_one("ids", bool(given.ids), given.all)
        found = await self._letters.send_again(None if given.all else frozenset(given.ids))
        send_json(request, 200, ChangedView(found.moved, more=False))

    async def _change(self, request: Request, change: Callable[[DeadFilter], Awaitable[Changed]]) -> None:
        given = await self._bodies.decode(request, DeadEventSelection)
        _require_one("seqs", bool(given.seqs), given.all)
        changed = await change(DeadFilter(None if given.all else given.seqs, given.receiver))
        send_json(request, 200, ChangedView(changed.count, changed.more))


def _require_one(name: str, named: bool, all_: bool) -> None:
    """Raises ClientFault (400): nothing is changed by a body that names nothing."""
    if named == all_:
        raise ClientFault(f"{name}: give either {name} or all: true.", param=name, code="invalid_value")
