"""The recorder behind the dashboard: the latest exchanges, counters per second, samples of each deployment.

``settle`` does the minimum; the rest runs once a second, or when a page is requested. A record costs as much as all
other work of ``settle`` and few are ever read, so most entries are the settled exchange itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count, dropwhile
from typing import Final

from proxy.control.activity.history import History, SecondStats
from proxy.control.activity.record import ExchangeRecord, record_of
from proxy.control.deployments.samples import LastFailure, SamplesByDeployment
from proxy.dialects.call import Call
from proxy.exchange import Attempt, Exchange
from proxy.observe.facts import generated
from proxy.observe.truncate import NAME, truncate
from proxy.routing.rules import NEUTRAL

MAX_PROMPT: Final = 8 * 1024  # characters
EARLY: Final = 0.05  # seconds that a timer may run early


class Recorder:
    """Keeps the latest ``keep`` exchanges.

    ``active`` returns the number of exchanges in progress. ``flush`` passes on exchanges that have ended.
    ``on_records`` gets an iterator over the records of each batch, which are made as they are consumed. ``on_second``
    gets each second that is over. Both are called synchronously.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, active: Callable[[], int], flush: Callable[[], None], keep: int
    ) -> None:
        self._loop = loop
        self._flush = flush
        self.active = active
        self.began = loop.time()
        self.history = History()
        self.samples = SamplesByDeployment()
        self.on_records: Callable[[Iterator[ExchangeRecord]], None] | None = None
        self.on_second: Callable[[SecondStats], None] | None = None
        self._ring: deque[Exchange | ExchangeRecord] = deque(maxlen=keep)
        self._sequence = 0  # of the last entry of the ring
        self._prompts: dict[Exchange, str] = {}  # of exchanges in progress
        self._closed = int(self.began) - 1  # the last second that is over
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Recorder {len(self._ring)} of {self.capacity} exchanges, {self._sequence} seen>"

    # -- once per exchange ------------------------------------------------------------------------

    def settle(self, ended: Sequence[Exchange]) -> None:
        """Record exchanges in the order in which they ended."""
        first = self._sequence + 1
        self._sequence += len(ended)
        samples_of = self.samples.__getitem__
        has_text, has_other, all_tokens = bool(self._prompts), False, 0
        for exchange in ended:
            if len(exchange.model) + len(exchange.response_model) > NAME or exchange.error or exchange.error_detail:
                has_text = True
            tokens = generated(exchange)
            if exchange.endpoint.kind != "call":
                has_other = True
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
        # Records are bounded. They are made at once for exchanges with long text, or with a prompt to keep.
        kept = [*map(self.record, ended, count(first))] if has_text else ended
        self._ring.extend(kept)
        calls = [each for each in kept if each.endpoint.kind == "call"] if has_other else kept
        self.history.count(calls, all_tokens)
        if self.on_records is not None:
            self.on_records(map(self.record, kept, count(first)))

    def capture(self, exchange: Exchange, call: Call) -> None:
        """Keep the prompt of a call, up to 8 KB, as long as its exchange is kept."""
        members = call.members
        raw = (
            members.beginning("messages", 4 * MAX_PROMPT)
            or members.beginning("input", 4 * MAX_PROMPT)
            or members.beginning("prompt", 4 * MAX_PROMPT)
        )
        text = raw.decode("utf-8", "replace")
        self._prompts[exchange] = truncate(text, MAX_PROMPT)

    def record(self, kept: Exchange | ExchangeRecord, sequence: int) -> ExchangeRecord:
        """The record of what is kept."""
        if isinstance(kept, ExchangeRecord):
            return kept
        return record_of(kept, sequence, self._prompts.pop(kept, None) if self._prompts else None)

    def _failed(self, attempt: Attempt, ended: float, request_id: str) -> None:
        if attempt.failure not in NEUTRAL:
            self.samples[attempt.deployment.key].last_failure = LastFailure(
                ended, attempt.failure, attempt.reason, request_id
            )

    # -- once a second ----------------------------------------------------------------------------

    def start(self) -> None:
        """Call ``tick`` at the end of each second."""
        self._timer = self._loop.call_at(int(self._loop.time()) + 1.0, self.tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def tick(self) -> None:
        """Close the second that is over."""
        self._flush()  # count the exchanges that ended in it
        # Timers may run slightly early. After the loop was blocked for seconds, all of it counts for the last second.
        begun = int(self._loop.time() + EARLY)
        self._closed = begun - 1
        self._timer = self._loop.call_at(begun + 1.0, self.tick)
        second = self.history.close(self._closed, self.active())
        if self.on_second is not None:
            self.on_second(second)

    # -- for the handlers -------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        return self._ring.maxlen or 0

    def latest(self, before: int = 0) -> Iterator[tuple[Exchange | ExchangeRecord, int]]:
        """What is kept now, with its sequence, newest first; below ``before``, unless that is 0.

        Exchanges may end while the caller iterates.
        """
        entries = zip(reversed(self._ring.copy()), count(self._sequence, -1), strict=False)
        return dropwhile(lambda entry: entry[1] >= before, entries) if before else entries

    def find(self, request_id: str) -> ExchangeRecord | None:
        """The newest with this id: clients may send the same id several times."""
        found = next((entry for entry in self.latest() if entry[0].request_id == request_id), None)
        return None if found is None else self.record(*found)

    def seconds(self, count: int) -> list[SecondStats]:
        """The last ``count`` closed seconds, oldest first."""
        return self.history.last(count, self._closed)
