"""The routes of events on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from proxy.control.events.handlers import EventHandlers
from proxy.control.events.letters import BrokerLetters
from proxy.control.events.receivers import ReceiverSurvey
from proxy.control.events.store import EventStore
from proxy.database.opening import LazyEngine
from proxy.database.tables import EVENT_RECEIVERS, OUTBOX
from proxy.events.base import webhook_name
from proxy.ledger.recorder.status import RecorderStatus
from tests.control.server import ControlServer
from tests.support.gateway import to_config

HOOK = "https://hooks.example.com/services/T0/secret-of-the-path"
NAME = webhook_name(HOOK)
BODY = '{"specversion":"1.0","id":"e1","data":{"owner":"alice"}}'


class EventPlane:
    """``config`` is of ``sections``, with a database in ``folder``. ``status`` is the recorder's."""

    def __init__(self, folder: Path, sections: Mapping[str, Any], command: Sequence[str]) -> None:
        kept = {"ledger": {"enabled": True}, "database": {"url": f"sqlite:///{folder}/a.db"}}
        self.config = to_config({"providers": {}, **kept, **sections})
        self.status: RecorderStatus | None = None
        self.engine = LazyEngine(self.config.database, folder, print, print)
        self._command = command
        self.server = ControlServer(self._routes)

    def _routes(self, server: ControlServer) -> Sequence[Any]:
        live: Any = self
        store = EventStore(self.engine, self.engine, live)
        survey = ReceiverSurvey(store, live, lambda: self.status, server.clock.wall)
        return EventHandlers(survey, store, BrokerLetters(live, self._command), server.bodies).routes()

    async def put(self, **members: Any) -> int:
        """Insert an event into the outbox; returns its number."""
        row = {"id": "e1", "receiver": NAME, "type": "ai_usage", "at": 100.0, "body": BODY} | members
        statement = insert(OUTBOX).values(row).returning(OUTBOX.c.seq)
        found: int = await self.engine.get().write(lambda connection: connection.scalar(statement))
        return found

    async def put_dead(self, at: float = 200.0, **members: Any) -> int:
        return await self.put(**{"dead_at": at, "tries": 7, "error": "status 500"} | members)

    async def know(self, **members: Any) -> None:
        """Insert a receiver."""
        row = insert(EVENT_RECEIVERS).values({"name": NAME} | members)
        await self.engine.get().write(lambda connection: connection.execute(row))

    async def waiting(self) -> list[int]:
        """The numbers of the events that are not dead."""
        query = select(OUTBOX.c.seq).where(OUTBOX.c.dead_at.is_(None)).order_by(OUTBOX.c.seq)

        async def work(connection: Any) -> list[int]:
            return list((await connection.execute(query)).scalars())

        return await self.engine.get().read(work)

    async def get(self, path: str) -> Any:
        answer = await self.server.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    async def post(self, path: str, body: Any) -> Any:
        answer = await self.server.ask("POST", path, json=body)
        assert answer.status == 200, answer.body
        return answer.json


@asynccontextmanager
async def event_plane(folder: Path, *, command: Sequence[str] = (), **sections: Any) -> AsyncIterator[EventPlane]:
    """``sections`` of the configuration; ``command`` replaces the process that reads dead letters."""
    plane = EventPlane(folder, sections, command)
    async with plane.server:
        try:
            yield plane
        finally:
            await plane.engine.close()
