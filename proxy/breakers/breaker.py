"""The circuit breaker of one deployment: consulted before each attempt, and given the verdict on it.

``table.py`` has the transitions; here outcomes become events of that table. ``enter`` returns an ``Entry``, which ends
with exactly one of ``succeed``, ``fail`` and ``leave``. A stream calls ``commit`` before. While the breaker is closed
that changes nothing, so that a deployment that breaks every stream after its first content opens all the same; in
half-open it is the probe's success, since the end of a stream may be an hour away. Moments are seconds of a
monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from msgspec import Struct

from proxy.breakers.table import TABLE, Action, Event
from proxy.breakers.table import State as State

RATE_LIMITED: Final = "rate_limited"  # the reason of a failure after which the provider answers others all the same
LONGEST_MISSING: Final = 600.0  # seconds; the cooldown of a missing model is doubled up to this


class Policy(Struct, frozen=True):
    """Failures in a row, seconds of cooldown, successes in a row.

    ``missing_cooldown``: seconds until a missing model is requested again; 0: not before a restart, reset or reload.
    """

    failure_threshold: int
    cooldown: float
    success_threshold: int
    missing_cooldown: float = 0.0


class Missing(Struct, frozen=True):
    """A provider does not have the model at one endpoint: the end and the length of its cooldown, maybe infinite."""

    until: float
    cooldown: float


_NONE_MISSING: Final[Mapping[str, Missing]] = MappingProxyType({})


class Entry(int):
    """What ``enter`` answers: ``REFUSED`` (falsy), ``NORMAL``, or a probe's number, ``PROBE`` or larger.

    Probes are numbered because their verdicts may come in any order: the slot that is freed has to be their own.
    """

    __slots__ = ()

    REFUSED: ClassVar[Entry]
    NORMAL: ClassVar[Entry]
    PROBE: ClassVar[Entry]

    @property
    def probe(self) -> bool:
        return self >= 2

    def __repr__(self) -> str:
        return f"probe {self - 1}" if self.probe else "normal" if self else "refused"


Entry.REFUSED = Entry(0)
Entry.NORMAL = Entry(1)
Entry.PROBE = Entry(2)

_NORMAL = Entry.NORMAL  # every attempt's, mostly: an attribute of a class is searched for each time

# What another replica tells: it opened, an operator tripped it, an endpoint has no such model, an operator reset it.
AnswerInfo = Literal["open", "held", "unavailable", "closed"]


class Change(Struct, frozen=True):
    """Why ``on_change`` is called. ``endpoint`` is that of ``missing``; ``learned``: another replica told it."""

    event: Event
    endpoint: str = ""
    learned: bool = False


OnChange = Callable[["Breaker", State, float], None]


class Breaker:
    """``state`` and ``failures`` tell how it stands, ``since`` and ``why`` how it came to that.

    ``policy`` may be replaced at any time and holds at once. ``probing`` is the probe in the slot, ``REFUSED`` if it
    is free; ``why`` is the code of the last failure that counted, ``""`` if there was none.
    ``on_change(breaker, old state, now)`` hears of every change of ``state`` and ``missing_at``, and of every trip and
    reset, which other replicas may need although they change nothing here; ``last`` is what it heard of last. In state
    ``closed`` every endpoint is admitted; where one has no such model, ``state_at`` tells more than ``state``.
    ``missing_at`` is replaced, never changed. A cooldown in it that has passed stays until an attempt succeeds or the
    model is missing again, as ``state`` stays ``open`` until somebody enters.
    """

    __slots__ = (
        "_earliest",
        "_latest",
        "failures",
        "held",
        "key",
        "last",
        "missing_at",
        "on_change",
        "policy",
        "probing",
        "since",
        "state",
        "successes",
        "why",
    )

    def __init__(self, policy: Policy, key: str = "", on_change: OnChange | None = None) -> None:
        self.policy = policy
        self.key = key
        self.on_change = on_change
        self.state: State = "closed"
        self.since = 0.0
        self.failures = 0
        self.successes = 0
        self.why = ""
        self.held = False
        self.missing_at = _NONE_MISSING
        self.last: Change | None = None
        self.probing = Entry.REFUSED
        self._latest = 1  # the number of the latest probe
        self._earliest = 2  # the number of the first probe since the breaker opened

    def __repr__(self) -> str:
        return f"<Breaker {self.key} {self.state}, {self.failures} failures, {self.successes} successes>"

    # -- before an attempt ------------------------------------------------------------------------

    def state_at(self, endpoint: str, now: float) -> State:
        """The state as one endpoint sees it."""
        if self._is_missing(endpoint, now):
            return "unavailable"
        return "closed" if self.state == "unavailable" else self.state

    def admits(self, endpoint: str, now: float, *, early: bool = False) -> bool:
        """Whether ``enter`` would let an attempt in; nothing changes."""
        if self.state == "closed":
            return True
        if self._is_missing(endpoint, now):
            return False
        if self.state == "open":
            return not self.held and (now >= self.since + self.policy.cooldown or (early and self.limited))
        return self.state == "unavailable" or not self.probing

    def enter(self, endpoint: str, now: float, *, early: bool = False) -> Entry:
        """Let an attempt in, or not. In half-open it takes the probe's slot.

        ``early``: a probe is let in before the cooldown is over where the breaker opened because of rate limits. For
        requests that have no other deployment.
        """
        if self.state == "closed":
            return _NORMAL
        if not self.admits(endpoint, now, early=early):
            return Entry.REFUSED
        if self.state == "unavailable":
            return _NORMAL
        if self.state == "open":
            self._step("cooled", now)
        self._latest += 1
        self.probing = Entry(self._latest)
        return self.probing

    @property
    def limited(self) -> bool:
        """Whether a rate limit opened it: the provider answers, if not everybody."""
        return self.why == RATE_LIMITED and not self.held

    @property
    def retry_at(self) -> float | None:
        """When a refused endpoint may ask again; ``None``: never by itself. It is past where a probe is waited for."""
        if self.held:
            return None
        if self.state == "unavailable":
            until = min(mark.until for mark in self.missing_at.values())
            return until if until < inf else None
        return self.since + self.policy.cooldown if self.state == "open" else self.since

    # -- after it ---------------------------------------------------------------------------------

    def commit(self, entry: Entry, now: float) -> None:
        """The content commit of a stream, whose end is still to come: the success of a probe, whose slot it frees."""
        if self._free(entry):
            self._probe_succeeded(now)

    def succeed(self, entry: Entry, endpoint: str, now: float) -> None:
        """A whole answer."""
        if self.state == "closed":
            if self.failures:
                self._step("success", now)
            return
        if endpoint in self.missing_at and not self._is_missing(endpoint, now):
            self._step("found" if len(self.missing_at) == 1 else "partly_found", now, endpoint)
        if self._free(entry):
            self._probe_succeeded(now)
        else:
            self._step("late" if self.state in ("open", "half_open") else "success", now)

    def fail(self, entry: Entry, now: float, why: str) -> None:
        """One failure, before the commit or after it; ``why`` is its code."""
        self._free(entry)
        if self.state == "open" or (self.state == "half_open" and entry < self._earliest):
            self._step("late", now)
            return
        self.why = why
        reached = self.state != "half_open" and self.failures + 1 >= self.policy.failure_threshold
        self._step("limit" if reached else "failure", now)

    def leave(self, entry: Entry, now: float) -> None:
        """No verdict. A probe's slot is free again."""
        self._free(entry)

    def missing(self, endpoint: str, now: float) -> None:
        """The provider has no such model: the endpoint is unavailable for a cooldown.

        That is twice the last one where the model was missing before; answers to attempts from before do not count.
        """
        if self._is_missing(endpoint, now):
            return
        known, first = self.missing_at.get(endpoint), self.policy.missing_cooldown
        cooldown = first if known is None else min(known.cooldown * 2, max(LONGEST_MISSING, first))
        self._mark(endpoint, now, now, cooldown if first else inf)

    # -- from outside -----------------------------------------------------------------------------

    def trip(self, now: float, why: str) -> None:
        """The operator opens it: it stays open until ``reset``, also beyond its cooldown."""
        self.why = why
        self._step("trip", now)

    def reset(self, now: float) -> None:
        """The operator closes it: everything that is held against the deployment is forgotten."""
        self._step("reset", now)

    def reload(self, now: float) -> None:
        """The configuration was read again: every endpoint may have its model now."""
        self._step("reload", now)

    def learn(
        self, told: AnswerInfo, now: float, since: float, why: str, endpoint: str = "", missing_cooldown: float = 0.0
    ) -> None:
        """Another replica tells what is so since ``since``; nobody needs to find it out by failing again.

        Opened elsewhere it opens here, and its cooldown ends when the other's does, unless that is over, what happened
        here is newer, or an operator holds it. How it recovers is its own affair. The same holds for a missing model
        and its cooldown; 0: the other's is not known, or has no end.
        """
        match told:
            case "open" if not self.held and self._is_news(since) and now < since + self.policy.cooldown:
                self.why = why
                self._step("opened_elsewhere", now, since=since)
            case "held" if not self.held:
                self.why = why
                self._step("trip", now, since=since)
            case "unavailable":
                cooldown = missing_cooldown or self.policy.missing_cooldown or inf
                known = self.missing_at.get(endpoint)
                if since + cooldown > (now if known is None else max(now, known.until)):
                    self._mark(endpoint, now, since, cooldown, learned=True)
            case "closed":
                self._step("reset", now, since=since)

    def _is_news(self, since: float) -> bool:
        """An endpoint without the model says nothing of the others, however new it is."""
        return self.last is None or self.state == "unavailable" or self.since <= since

    # -- the table at work ------------------------------------------------------------------------

    def _is_missing(self, endpoint: str, now: float) -> bool:
        found = self.missing_at.get(endpoint)
        return found is not None and now < found.until

    def _mark(self, endpoint: str, now: float, since: float, cooldown: float, *, learned: bool = False) -> None:
        marks = {**self.missing_at, endpoint: Missing(since + cooldown, cooldown)}
        self._step("missing", now, endpoint, marks, since=since if learned else None)

    def _probe_succeeded(self, now: float) -> None:
        if self.successes + 1 < self.policy.success_threshold:
            self._step("success", now)
        else:
            self._step("partly_recovered" if self.missing_at else "recovered", now)

    def _free(self, entry: Entry) -> bool:
        """Whether the slot was this probe's; now it is free."""
        if not entry.probe or entry != self.probing:
            return False
        self.probing = Entry.REFUSED
        return True

    def _step(
        self,
        event: Event,
        now: float,
        endpoint: str = "",
        marks: Mapping[str, Missing] = _NONE_MISSING,
        *,
        since: float | None = None,
    ) -> None:
        """``since`` is when it happened at another replica; ``None``: here and now. ``marks`` are for ``mark``."""
        old, missing_at = self.state, self.missing_at
        self.state, action = TABLE[old, event]
        if action == "mark":
            self.missing_at = marks
        elif action == "unmark":
            self.missing_at = {each: mark for each, mark in missing_at.items() if each != endpoint}
        else:
            self._act(action)
        if self.state != old or action in ("hold", "follow"):
            self.since = now if since is None else since
        if self.state == old and self.missing_at == missing_at and event not in ("trip", "reset"):
            return
        self.last = Change(event, endpoint, since is not None)
        if self.on_change is not None:
            self.on_change(self, old, now)

    def _act(self, action: Action) -> None:
        match action:
            case "clear":
                self.failures = self.successes = 0
            case "count_failure":
                self.failures += 1
            case "count_success":
                self.failures = 0
                self.successes += 1
            case "cool":
                self.failures += 1
                self._stop_probing()
            case "follow":
                self._stop_probing()
            case "probe":
                self._earliest = self._latest + 1
            case "hold":
                self.held = True
                self._stop_probing()
            case "forget":
                self.missing_at = _NONE_MISSING
            case "forget_all":
                self.failures = 0
                self.why = ""
                self.held = False
                self.missing_at = _NONE_MISSING
                self._stop_probing()

    def _stop_probing(self) -> None:
        self.successes = 0
        self.probing = Entry.REFUSED
