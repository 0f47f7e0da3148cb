"""Remembers what the operator may ask for: the last exchanges, the last seconds, how fast each deployment was.

``settle`` only notes; whatever costs is done once a second, or when somebody looks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, repeat

from proxy.exchange import Exchange, Trial
from proxy.observe.facts import generated
from proxy.observe.history import History, Second
from proxy.observe.record import Record, record_of, short
from proxy.observe.samples import Deployments, Mishap
from proxy.routing.rules import BLAMELESS
from proxy.wire.call import Call

PROMPT = 8 * 1024  # characters
EARLY = 0.05  # seconds


class Recorder:
    """``settle`` takes exchanges that ended; ``active`` tells how many run, ``catch_up`` hands over those that ended.

    ``on_records`` hears of each exchange, ``on_second`` of each second, both synchronously. ``keep`` exchanges are
    remembered; ``capture`` is for calls whose prompts may be kept.
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
        self.on_records: Callable[[Sequence[Record]], None] | None = None
        self.on_second: Callable[[Second], None] | None = None
        self._ring: deque[Record] = deque(maxlen=keep)
        self._sequence = 0
        self._prompts: dict[Exchange, str] = {}  # of those that still run
        self._closed = int(self.began) - 1  # the last second that is over
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Recorder {len(self._ring)} of {self.capacity} exchanges, {self._sequence} seen>"

    # -- once per exchange ------------------------------------------------------------------------

    def settle(self, ended: Sequence[Exchange]) -> None:
        """Note exchanges that ended, in the order in which they did."""
        records = [*map(record_of, ended, count(self._sequence + 1), self._prompts_of(ended))]
        self._sequence += len(records)
        self._ring.extend(records)
        tokens = [*map(generated, ended)]
        self.history.count(ended, tokens)
        for record, found in zip(records, tokens, strict=True):
            for trial in record.trials:
                self._sample(record, trial, found)
        if self.on_records is not None:
            self.on_records(records)

    def capture(self, exchange: Exchange, call: Call) -> None:
        """Keep the prompt of a call, up to 8 KB, until its exchange is forgotten."""
        members = call.members
        raw = members.raw("messages") or members.raw("input") or members.raw("prompt") or b""
        text = bytes(raw[: 4 * PROMPT]).decode("utf-8", "replace")
        self._prompts[exchange] = short(text, PROMPT)

    def _prompts_of(self, ended: Sequence[Exchange]) -> Iterable[str | None]:
        prompts = self._prompts
        return (prompts.pop(exchange, None) for exchange in ended) if prompts else repeat(None)

    def _sample(self, record: Record, trial: Trial, tokens: int | None) -> None:
        ended = trial.ended
        if ended is None:
            return
        if not trial.failure:
            first, began = trial.first_content, trial.began
            since = None if first is None else first - began
            self.deployments.of(trial.deployment.key).add(ended - began, since, tokens)
        elif trial.failure not in BLAMELESS:
            mishap = Mishap(ended, trial.failure, trial.reason, record.request_id)
            self.deployments.of(trial.deployment.key).mishap = mishap

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
        return (record for record in reversed(self._ring) if not before or record.sequence < before)

    def find(self, request_id: str) -> Record | None:
        """The newest of that id: clients may give the same to many."""
        return next((record for record in self.latest() if record.request_id == request_id), None)

    def seconds(self, count: int) -> list[Second]:
        """The last ``count`` that were closed, oldest first."""
        return self.history.last(count, self._closed)
