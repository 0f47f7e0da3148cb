"""Searching the requests that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from proxy.control.activity.record import ExchangeRecord
from proxy.exchange import Exchange, Outcome

STEP: Final = 2000  # requests that are looked at in one turn of the loop: about a millisecond

Kept = Exchange | ExchangeRecord
Text = Annotated[str, Meta(max_length=1000)]


class RequestFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """``id``, ``client``, ``model`` and ``run``: ``*`` matches any text, case is ignored. ``client``: the client's id,
    name, owner or address. ``model``: as the client or the provider named it. ``before``: a sequence. ``""`` and 0
    match every request."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    id: Text = ""
    client: Text = ""
    model: Text = ""
    outcome: Outcome | Literal[""] = ""
    run: Text = ""
    before: Annotated[int, Meta(ge=0)] = 0


class TextPattern:
    """Takes time linear in the text, unlike a regular expression with several ``.*``."""

    def __init__(self, pattern: str) -> None:
        first, *rest = pattern.casefold().split("*")
        self._first, self._middle, self._last = first, rest[:-1], rest[-1] if rest else None

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        text, first, last = text.casefold(), self._first, self._last
        if last is None:
            return text == first
        place, end = len(first), len(text) - len(last)
        if place > end or not text.startswith(first) or not text.endswith(last):
            return False
        for part in self._middle:
            place = text.find(part, place, end)
            if place < 0:
                return False
            place += len(part)
        return True


async def search(kept: Iterable[tuple[Kept, int]], wanted: RequestFilter, most: int) -> list[tuple[Kept, int]]:
    """The first ``most`` requests that match, with their sequences. Other callbacks run after every ``STEP``."""
    conditions, found = _conditions(wanted), []
    for number, (each, sequence) in enumerate(kept, 1):
        if all(condition(each) for condition in conditions):
            found.append((each, sequence))
            if len(found) == most:
                break
        if not number % STEP:
            await asyncio.sleep(0)
    return found


def _conditions(wanted: RequestFilter) -> list[Callable[[Kept], bool]]:
    """The cheapest first."""
    conditions: list[Callable[[Kept], bool]] = []
    if wanted.outcome:
        conditions.append(lambda each: each.outcome == wanted.outcome)
    for text, facts in ((wanted.id, _ids), (wanted.run, _runs), (wanted.model, _models), (wanted.client, _clients)):
        if text:
            conditions.append(_condition(TextPattern(text), facts))
    return conditions


def _condition(pattern: TextPattern, facts: Callable[[Kept], tuple[str, ...]]) -> Callable[[Kept], bool]:
    return lambda each: any(pattern.matches(fact) for fact in facts(each))


def _ids(each: Kept) -> tuple[str, ...]:
    return (each.request_id,)


def _runs(each: Kept) -> tuple[str, ...]:
    return (each.run,)


def _models(each: Kept) -> tuple[str, ...]:
    return each.model, each.request_model


def _clients(each: Kept) -> tuple[str, ...]:
    address = each.address if isinstance(each, ExchangeRecord) else each.client
    caller = each.caller
    return (address,) if caller is None else (caller.id, caller.name, caller.owner, address)
