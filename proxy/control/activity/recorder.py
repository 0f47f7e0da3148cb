"""Remembers what the operator may ask for: the last exchanges, the last seconds, how fast each deployment was.

``settle`` only notes; whatever costs is done once a second, or when somebody looks. A record of 27 fields is as much
as all else that is noted, and few are ever looked at: what is kept of most is the settled exchange itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from proxy.control.activity.history import History, Second
from proxy.control.activity.record import Record, record_of
from proxy.control.activity.samples import Deployments, Mishap
from proxy.dialects.call import Call
from proxy.exchange import Attempt, Exchange
from proxy.observe.facts import generated
from proxy.observe.truncate import NAME, truncate
from proxy.routing.rules import NEUTRAL

PROMPT = 8 * 1024  # characters
EARLY = 0.05  # seconds


class Recorder:
    """``settle`` takes exchanges that ended; ``active`` tells how many run, ``catch_up`` hands over those that ended.

    ``on_records`` hears of each batch of exchanges, whose records are made as they are taken; ``on_second`` of each
    second; both synchronously. ``keep`` exchanges are remembered; ``capture`` is for calls whose prompts may be kept.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, active: Callable[[], int], catch_up: Callable[[], None], keep: int
    ) -> None:
        self._loop = loop
        self._catch_up = catch_up
        self.active = active
        self.began = loop.time()
        self.history = History()
        self.deployments = Deployments()
        self.on_records: Callable[[Iterator[Record]], None] | None = None
        self.on_second: Callable[[Second], None] | None = None
        self._ring: deque[Exchange | Record] = deque(maxlen=keep)
        self._sequence = 0  # of the last in the ring
        self._prompts: dict[Exchange, str] = {}  # of those that still run
        self._closed = int(self.began) - 1  # the last second that is over
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Recorder {len(self._ring)} of {self.capacity} exchanges, {self._sequence} seen>"

    # -- once per exchange ------------------------------------------------------------------------

    def settle(self, ended: Sequence[Exchange]) -> None:
        """Note exchanges that ended, in the order in which they did."""
        first = self._sequence + 1
        self._sequence += len(ended)
        samples_of = self.deployments.__getitem__
        worded, others, all_tokens = bool(self._prompts), False, 0
        for exchange in ended:
            if len(exchange.model) + len(exchange.response_model) > NAME or exchange.error or exchange.error_detail:
                worded = True
            tokens = generated(exchange)
            if exchange.endpoint.kind != "call":
                others = True
            elif tokens:
                all_tokens += tokens
            for attempt in exchange.attempts:
                end = attempt.ended
                if end is None:
                    continue
                if attempt.failure:
                    self._failed(attempt, end, exchange.request_id)
                    continue
                began, content = attempt.began, attempt.first_content
                since = None if content is None else content - began
                samples_of(attempt.deployment.key).add(end - began, since, tokens)
        # Where others may have written much, or a prompt is to be kept, the records are made at once: they are bounded.
        kept = [*map(self._record, ended, count(first))] if worded else ended
        self._ring.extend(kept)
        calls = [each for each in kept if each.endpoint.kind == "call"] if others else kept
        self.history.count(calls, all_tokens)
        if self.on_records is not None:
            self.on_records(map(self._record, kept, count(first)))

    def capture(self, exchange: Exchange, call: Call) -> None:
        """Keep the prompt of a call, up to 8 KB, until its exchange is forgotten."""
        members = call.members
        raw = (
            members.beginning("messages", 4 * PROMPT)
            or members.beginning("input", 4 * PROMPT)
            or members.beginning("prompt", 4 * PROMPT)
        )
        text = raw.decode("utf-8", "replace")
        self._prompts[exchange] = truncate(text, PROMPT)

    def _record(self, kept: Exchange | Record, sequence: int) -> Record:
        if isinstance(kept, Record):
            return kept
        return record_of(kept, sequence, self._prompts.pop(kept, None) if self._prompts else None)

    def _failed(self, attempt: Attempt, ended: float, request_id: str) -> None:
        if attempt.failure not in NEUTRAL:
            self.deployments[attempt.deployment.key].mishap = Mishap(ended, attempt.failure, attempt.reason, request_id)

    # -- once a second ----------------------------------------------------------------------------

    def start(self) -> None:
        """``tick`` whenever a second is over. One that was idle costs a comparison and is not kept."""
        self._timer = self._loop.call_at(int(self._loop.time()) + 1.0, self.tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def tick(self) -> None:
        """A second is over."""
        self._catch_up()  # what ended in it is part of it
        # The loop's timers may wake us a moment early; where it was held for seconds, all of it counts for the last.
        begun = int(self._loop.time() + EARLY)
        self._closed = begun - 1
        self._timer = self._loop.call_at(begun + 1.0, self.tick)
        second = self.history.close(self._closed, self.active())
        if self.on_second is not None:
            self.on_second(second)

    # -- when somebody looks ----------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        return self._ring.maxlen or 0

    def latest(self, before: int = 0) -> Iterator[Record]:
        """Newest first; only those with a sequence below ``before``, unless that is 0."""
        for kept, sequence in zip(reversed(self._ring), count(self._sequence, -1), strict=False):
            if not before or sequence < before:
                yield self._record(kept, sequence)

    def find(self, request_id: str) -> Record | None:
        """The newest of that id: clients may give the same to many."""
        for kept, sequence in zip(reversed(self._ring), count(self._sequence, -1), strict=False):
            if kept.request_id == request_id:
                return self._record(kept, sequence)
        return None

    def seconds(self, count: int) -> list[Second]:
        """The last ``count`` that were closed, oldest first."""
        return self.history.last(count, self._closed)
