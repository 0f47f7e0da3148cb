"""Any order of sending, confirming, crashes and lost holds: each event arrives, and once if nothing went wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.events.outbox.base import EventOutbox, OutboxUnavailable, Settlement, WaitingEvent
from proxy.events.outbox.sqlite import SqliteOutbox
from proxy.events.sending.base import RefusedEvent, SendOutcome
from proxy.events.sending.delivery import EventDelivery
from proxy.events.sending.hold import HOLD_SECS
from tests.events.outbox.outboxes import RECEIVER, insert
from tests.events.sending.rig import LogLines, MemorySender, StillClock
from tests.ledger.recorder.databases import Address, make_file


class Killed(BaseException):
    """The process ends here."""


class Fate:
    """What goes wrong at the next call; ``harmless``: nothing did so far that may repeat an event."""

    def __init__(self) -> None:
        self.next = ""
        self.harmless = True

    def meets(self, *names: str) -> bool:
        if self.next in names:
            self.next = ""
            return True
        return False


class FatedSender(MemorySender):
    """``probes`` is that of a webhook or of the broker."""

    def __init__(self, fate: Fate, *, probes: bool) -> None:
        super().__init__()
        self.probes = probes
        self._fate = fate

    async def send(self, events: Sequence[WaitingEvent]) -> SendOutcome:
        fate = self._fate
        if fate.meets("killed before"):
            raise Killed
        if fate.meets("down"):
            if self.probes:
                return SendOutcome(refused=[RefusedEvent(events[0], "down")])
            return SendOutcome(error="down")
        self.got += [each.id for each in events]
        if fate.meets("killed after"):
            fate.harmless = False
            raise Killed
        if fate.meets("confirm lost"):
            fate.harmless = False
            return SendOutcome(error="the connection broke")
        return SendOutcome(sent=[each.seq for each in events])


class FatedOutbox:
    def __init__(self, real: EventOutbox, fate: Fate) -> None:
        self._real = real
        self._fate = fate

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    async def settle(self, receiver: str, settlement: Settlement) -> None:
        if self._fate.meets("outbox away"):
            raise OutboxUnavailable("away")
        if self._fate.meets("killed unsettled"):
            self._fate.harmless &= not settlement.sent
            raise Killed
        await self._real.settle(receiver, settlement)
        if self._fate.meets("killed settled"):
            raise Killed
        if self._fate.meets("answer lost"):
            raise OutboxUnavailable("away")


FATES = (
    *("", "", "down", "confirm lost", "outbox away", "answer lost"),
    *("killed before", "killed after", "killed unsettled", "killed settled"),
)
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["insert", "one", "two", "wait", "hold ends"]), st.sampled_from(FATES)), max_size=40
)


class Play:
    """Two processes with one outbox and one receiver."""

    def __init__(self, path: Path, *, probes: bool) -> None:
        self.clock, self.fate, self.path = StillClock(), Fate(), path
        self.sender = FatedSender(self.fate, probes=probes)
        self.processes = {name: self._process(name) for name in ("one", "two")}
        self.number = 0

    def _process(self, name: str) -> EventDelivery:
        outbox = FatedOutbox(SqliteOutbox(str(self.path), self.clock.wall), self.fate)
        return EventDelivery(
            RECEIVER,
            outbox,  # type: ignore[arg-type]
            self.sender,
            name,
            self.clock.clocks,
            LogLines(),
        )

    async def act(self, action: str, fate: str) -> None:
        if action == "insert":
            self.number += 1
            await insert(Address("sqlite", str(self.path)), str(self.number))
        elif action == "wait":
            self.clock.advance(4.0)
        elif action == "hold ends":
            self.clock.advance(HOLD_SECS + 1)
        else:
            await self._step(action, fate)

    async def _step(self, name: str, fate: str) -> None:
        process = self.processes[name]
        self.fate.next = fate
        try:
            await process.step()
        except Killed:
            self._end(process)
            self.processes[name] = self._process(name)
        self.fate.next = ""

    async def rest(self) -> None:
        """Nothing goes wrong any more."""
        for _ in range(60):
            for name in self.processes:
                await self._step(name, "")
            self.clock.advance(60.0)

    def rows(self) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def _end(self, process: EventDelivery) -> None:
        real = process._outbox._real  # type: ignore[attr-defined]
        if real._connection is not None:
            real._connection.close()
            real._connection = None

    def close(self) -> None:
        for process in self.processes.values():
            self._end(process)


async def played(path: Path, actions: list[tuple[str, str]], *, probes: bool) -> Play:
    await make_file(path)
    play = Play(path, probes=probes)
    try:
        for action, fate in actions:
            await play.act(action, fate)
        await play.rest()
        return play
    finally:
        play.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS, probes=st.booleans())
def test_each_event_arrives_and_once_if_nothing_was_lost(actions: list[tuple[str, str]], probes: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play = asyncio.run(played(Path(folder) / "outbox.db", actions, probes=probes))
        got = Counter(play.sender.got)
        assert {*got} == {str(number) for number in range(1, play.number + 1)}
        assert play.rows() == 0
        if play.fate.harmless:
            assert max(got.values(), default=1) == 1
