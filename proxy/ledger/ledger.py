"""The gateway's end of the ledger: an entry is opened before a request is sent, and closed when it is settled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from msgspec import Struct, msgpack

from proxy.dialects.call import Call
from proxy.errors import Overloaded
from proxy.events.base import GatewayEvent
from proxy.events.cloudevent import waiting
from proxy.exchange import Attempt, Exchange
from proxy.ledger import entry
from proxy.ledger.full import SpoolFull
from proxy.ledger.spool.format import CLOSE, OPEN, Record
from proxy.routing.catalog import Catalog

RETRY_AFTER: Final = 30  # seconds
MOST_SHARED: Final = 1000  # of about 200 bytes
MOST_WAITING: Final = 64  # open records, which take a part of what a segment keeps free for close records
_FULL: Final = (
    "The gateway cannot record what this request would use: its spool or its disk is full. Its operator can bring the"
    " database back, free space, raise ledger.spoolMb, or set ledger.onFull to forget."
)
_REFUSED: Final = "Requests are refused until there is room (ledger.onFull)."
_FORGOTTEN: Final = "What requests use is not recorded until there is room (ledger.onFull)."
_ROOM: Final = "There is room for the ledger's records again."


class Spool(Protocol):
    """Where records go. ``nonce`` is of this process."""

    nonce: str

    def has_room(self) -> bool:
        """Whether open records may be promised now, and go to ``write`` later."""

    def open(self, payload: bytes) -> None:
        """Append an open record. Raises SpoolFull, and then no close record must follow."""

    def announce(self, payload: bytes) -> None:
        """Append an event. Raises SpoolFull."""

    def write(self, records: Sequence[Record]) -> None:
        """Append close records, and open records that were promised. Never raises for want of space."""

    def end(self) -> None:
        """No record follows."""


class LedgerCounters(Protocol):
    """The counters that the ledger increments."""

    forgotten_attempts: int
    forgotten_events: int


class LedgerState(Struct, frozen=True):
    """Whether records can be written, since a Unix time."""

    up: bool
    since: float
    latency: float | None = None


def at_once(call: Callable[[], None]) -> None:
    call()


class Ledger:
    """Writes two records for each attempt. An ``ExactObserver`` of exchanges.

    ``on_full``: ``refuse`` requests while the spool is full, or ``forget`` what they use. ``notice`` takes a sentence
    when the spool becomes full, and when it has room again.

    Records are made and written in a row: with cold caches, in the middle of a request, they cost twice as much.
    ``soon`` takes a call that it makes before anything is sent to a provider or a client, so that the open record of an
    attempt is on the spool before its request leaves the process.
    """

    def __init__(
        self,
        spool: Spool,
        on_full: Literal["refuse", "forget"],
        counters: LedgerCounters,
        notice: Callable[[str], None],
        soon: Callable[[Callable[[], None]], None] = at_once,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._nonce, self._has_room = spool.nonce, spool.has_room
        self._refuses = on_full == "refuse"
        self._counters = counters
        self._notice = notice
        self._soon = soon
        self._wall = wall
        self._number = 0
        self._due = False  # a ``write`` comes soon
        self._opening: list[entry.Entry] = []  # whose open records wait
        self._closing: list[tuple[Exchange, Attempt, entry.Entry]] = []  # whose close records wait
        self._cached: list[tuple[Exchange, str, float, float, int, str]] = []  # arguments of ``entry.cached``
        self._entries: dict[Attempt, entry.Entry] = {}  # that are open
        self._catalog: Catalog | None = None  # of what is shared
        self._known: dict[tuple[object, ...], entry.Shared] = {}
        self._forgets_events = False
        self.state = LedgerState(True, wall())
        self.on_first_record: Callable[[], None] | None = None  # called once, before the first record

    def __repr__(self) -> str:
        return f"<Ledger {len(self._entries)} open{'' if self.state.up else ', full'}>"

    @property
    def nonce(self) -> str:
        """Of this process: its row ids and its segments begin with it."""
        return self._spool.nonce

    @property
    def open_entries(self) -> int:
        """Number of attempts that were opened and not closed yet."""
        return len(self._entries)

    def open(self, exchange: Exchange, attempt: Attempt, call: Call | None) -> None:
        """Record what is known of an attempt before it is sent. Raises Overloaded if the spool is full.

        ``call`` is ``None`` for a body that is not read.
        """
        number = self._number = self._number + 1
        if number == 1 and self.on_first_record is not None:
            self.on_first_record()
        begun = entry.begin(exchange, attempt, call, f"{self._nonce}{number}", self._shared(exchange, attempt))
        if self.state.up and self._has_room():
            waiting = self._opening
            waiting.append(begun)
            if len(waiting) >= MOST_WAITING:
                self.write()
            elif not self._due:
                self._expect_write()
        elif not self._open_at_once(begun):
            return
        self._entries[attempt] = begun

    def offer(self, exchange: Exchange) -> None:
        """Record the whole row of each attempt that was opened."""
        entries = self._entries
        for attempt in exchange.attempts:
            begun = entries.pop(attempt, None)
            if begun is not None:
                self._closing.append((exchange, attempt, begun))
                if not self._due:
                    self._expect_write()

    def record_cached(self, exchange: Exchange, now: float, bytes_out: int, deployment: str) -> None:
        """Record an answer from the cache; without room it goes unrecorded. ``now``: in seconds of the loop."""
        if not (self.state.up and self._has_room()):
            self._counters.forgotten_attempts += 1
            return
        number = self._number = self._number + 1
        if number == 1 and self.on_first_record is not None:
            self.on_first_record()
        at = self._wall() - (now - exchange.began)
        self._cached.append((exchange, f"{self._nonce}{number}", at, now, bytes_out, deployment))
        if not self._due:
            self._expect_write()

    def announce(self, event: GatewayEvent) -> None:
        """Record an event for the outbox. It is forgotten if there is no room for it. Does not raise."""
        self.write()  # open records that wait have a promise of room
        try:
            self._spool.announce(msgpack.encode(waiting(event)))
        except Exception as error:  # must not prevent what the event tells
            self._counters.forgotten_events += 1
            if not self._forgets_events:
                self._notice(f"An event of {event.type} is not sent, as it cannot be recorded: {error}")
            self._forgets_events = True
        else:
            self._forgets_events = False

    def write(self) -> None:
        """Write the records that wait."""
        self._due = False
        opening, self._opening = self._opening, []
        closing, self._closing = self._closing, []
        records: list[Record] = []
        for begun in opening:
            try:
                records.append((OPEN, entry.opened(begun)))
            except Exception as error:  # must not prevent the other records
                self._report(error)
        for exchange, attempt, begun in closing:
            try:
                records.append((CLOSE, entry.closed(exchange, attempt, begun)))
            except Exception as error:
                self._report(error)
        if self._cached:
            self._close_cached(records)
        try:
            if records:
                self._spool.write(records)
        except Exception as error:  # must not prevent what is sent next
            self._report(error)

    def _close_cached(self, records: list[Record]) -> None:
        """Add the records of answers from the cache."""
        cached, self._cached = self._cached, []
        for given in cached:
            try:
                records.append((CLOSE, entry.cached(*given)))
            except Exception as error:
                self._report(error)

    def close(self) -> None:
        """Write what waits, and end the spool. No exchange may run any more."""
        self.write()
        self._spool.end()

    def _expect_write(self) -> None:
        self._due = True
        self._soon(self.write)

    def _open_at_once(self, begun: entry.Entry) -> bool:
        """Whether the open record of an attempt that was not promised room is written; else it goes unrecorded."""
        self.write()
        try:
            self._spool.open(entry.opened(begun))
        except SpoolFull as reason:
            self._forget(str(reason))
            return False
        if not self.state.up:
            self.state = LedgerState(True, self._wall())
            self._notice(_ROOM)
        return True

    def _shared(self, exchange: Exchange, attempt: Attempt) -> entry.Shared:
        """What the records share with those of other attempts. Labels of a request are of few attempts."""
        if exchange.added_labels:
            return entry.share(exchange, attempt)
        known = self._known
        if exchange.catalog is not self._catalog or len(known) > MOST_SHARED:
            known.clear()  # so that no old catalog is kept
            self._catalog = exchange.catalog
        key = attempt.deployment, exchange.endpoint.path, exchange.stream, exchange.model, exchange.caller, exchange.run
        found = known.get(key)
        if found is None:
            found = known[key] = entry.share(exchange, attempt)
        return found

    def _forget(self, reason: str) -> None:
        """The spool is full. Raises Overloaded unless the attempt may go unrecorded."""
        if self.state.up:
            self.state = LedgerState(False, self._wall())
            self._notice(f"{reason} {_REFUSED if self._refuses else _FORGOTTEN}")
        if self._refuses:
            raise Overloaded(_FULL, retry_after=RETRY_AFTER, code="ledger_full")
        self._counters.forgotten_attempts += 1

    def _report(self, error: Exception) -> None:
        self._notice(f"The ledger could not record an attempt: {error!r}.")
