"""Encoding of one call of ``script.lua``, and decoding of its reply. The scripts document the formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from proxy.budgets.base import Shortfall, Wants
from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.bucket import BOUND, refill
from proxy.limits.counter_sums import CounterSums

MICROSECONDS = 1e6
_GRANTED = Verdict(True, None, 0.0, 0.0, 0.0)

Slot = tuple[str, str]  # a set of slots: name of its limit, and key


class ScriptReply(NamedTuple):
    """A decoded reply to a call with budgets.

    ``answers``: two numbers for each take. ``epoch`` and ``deaths``: of the processes. ``resend``: this process must
    send all its sums again. ``sums``: three numbers for each counter.
    """

    answers: list[float]
    epoch: str
    resend: bool
    deaths: int
    sums: list[int]


_answers = msgspec.msgpack.Decoder(list[float])
_reply = msgspec.msgpack.Decoder(tuple[list[float], str, int, int, list[int]])
_encode = msgspec.msgpack.Encoder().encode


class Batch:
    """Operations of one call. ``prefix`` starts all keys, as their common hash tag (Redis Cluster)."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._buckets: dict[tuple[str, str], int] = {}
        self._sets: dict[Slot, int] = {}
        self._corrections: list[float] = []
        self._released: dict[int, list[int]] = {}
        self._renewed: dict[int, list[int]] = {}
        self._takes: list[list[float]] = []
        self.sums: CounterSums | None = None  # None: the call is not about budgets

    def take(self, costs: Sequence[Cost], lease: int) -> None:
        entry: list[float] = [lease]
        for cost in costs:
            limit = cost.limit
            if limit.rate:
                entry += self._bucket(limit, cost.key), cost.amount / limit.rate * MICROSECONDS, _room(limit)
            else:
                entry += self._set((limit.name, cost.key)), 1, limit.capacity
        self._takes.append(entry)

    def correct(self, cost: Cost) -> None:
        limit = cost.limit
        self._corrections += (
            self._bucket(limit, cost.key),
            cost.amount / limit.rate * MICROSECONDS,
            _room(limit),
        )

    def release(self, slot: Slot, lease: int) -> None:
        number = self._set(slot)
        self._released.setdefault(number, [number]).append(lease)

    def renew(self, slot: Slot, lease: int) -> None:
        number = self._set(slot)
        self._renewed.setdefault(number, [number]).append(lease)

    def keys(self) -> list[bytes]:
        keys = [self._key(*named) for named in (*self._buckets, *self._sets)]
        return keys if self.sums is None else [*keys, *self.sums.keys()]

    def argument(self, now: float | None, owner: str, life: float, spare: float) -> bytes:
        """The script's argument. ``now`` in seconds, ``None``: the server's time; ``life``: seconds of a lease;
        ``spare``: seconds that a bucket's key is kept after it is full.
        """
        asked = (
            False if now is None else now * MICROSECONDS,
            owner,
            life * MICROSECONDS,
            spare * 1e3,
            BOUND,
            len(self._buckets),
            self._corrections,
            list(self._released.values()),
            list(self._renewed.values()),
            self._takes,
        )
        return _encode(asked if self.sums is None else (*asked, self.sums.argument(len(self._takes))))

    def _bucket(self, limit: Limit, key: str) -> int:
        return self._buckets.setdefault((limit.name, key), len(self._buckets) + 1)

    def _set(self, slot: Slot) -> int:
        return self._sets.setdefault(slot, -len(self._sets) - 1)

    def _key(self, name: str, key: str) -> bytes:
        # A client's ID may contain lone surrogates, from bytes of a header that are not UTF-8.
        return f"{{{self._prefix}}}:{name}:{key}".encode("utf-8", "surrogatepass")


def decoded(reply: bytes, budgets: bool) -> ScriptReply:
    """``budgets``: the call was about budgets, too. Raises msgspec.MsgspecError."""
    if not budgets:
        return ScriptReply(_answers.decode(reply), "", False, 0, [])
    numbers, epoch, resend, deaths, sums = _reply.decode(reply)
    return ScriptReply(numbers, epoch, resend == 1, deaths, sums)


def answers(numbers: list[float]) -> list[tuple[int, float]]:
    """For each take: the number of the reported cost, from 1 (negative: refused; 0: not decided yet), and the used
    part of its bucket. Raises ValueError.
    """
    return [(int(which), used) for which, used in zip(numbers[::2], numbers[1::2], strict=True)]


def verdict(costs: Sequence[Cost], which: int, used: float, wants: Wants = ()) -> Verdict:
    """The verdict for one take, from the script's two numbers."""
    if abs(which) > len(costs):
        return _verdict_of_wants(costs, which, used, wants)
    cost = costs[abs(which) - 1]
    limit = cost.limit
    if not limit.rate:
        return Verdict(which > 0, limit, max(limit.capacity - used, 0.0), 0.0, 0.0 if which > 0 else 1.0)
    reset_after = used / MICROSECONDS
    remaining = max(limit.capacity - reset_after * limit.rate, 0.0)
    if which > 0:
        return Verdict(True, limit, remaining, reset_after, 0.0)
    return Verdict(False, limit, remaining, reset_after, reset_after + cost.amount / limit.rate - refill(limit))


def _verdict_of_wants(costs: Sequence[Cost], which: int, used: float, wants: Wants) -> Verdict:
    if which > 0:
        return _GRANTED
    counter, amount = wants[-which - len(costs) - 1]
    return Verdict(False, None, 0.0, 0.0, 0.0, Shortfall(counter, amount, int(used)))


def _room(limit: Limit) -> float:
    return refill(limit) * MICROSECONDS
