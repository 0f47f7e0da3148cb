"""Whatever happens: what the ledger knows for certain is what the provider bills, to the nano-dollar."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from proxy.ledger.row import Row
from tests.support import (
    Chunk,
    Close,
    Headers,
    Reset,
    Send,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
)
from tests.support.answers import SSE_HEADERS
from tests.support.candidates import candidates
from tests.support.recorded_ledger import RecordedSpool
from tests.support.steps import Script, Step
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
PRICES = {"input": 3, "cacheRead": 0.3, "output": 15, "reasoning": 20}
WORDS = ("one", " two", " three")
FAULTS: tuple[list[Step | bytes], ...] = (
    json_answer(error_json(), 400),
    json_answer(error_json(), 429),
    json_answer(error_json(), 500),
    [Close()],
    [Reset()],
    [Headers(200, SSE_HEADERS), Close()],
    [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "500")]), Send(b"{"), Close()],
)


class Plan(Struct, frozen=True):
    """One answer: which fault instead, if any; the tokens; and where a stream breaks."""

    fault: int | None
    prompt: int
    cached: int
    completion: int
    reasoning: int
    breaks_after: int | None

    @property
    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "prompt_tokens_details": {"cached_tokens": min(self.cached, self.prompt)},
            "completion_tokens_details": {"reasoning_tokens": min(self.reasoning, self.completion)},
        }

    @property
    def bill(self) -> int:
        """Nano-USD of a whole answer."""
        cached, reasoning = min(self.cached, self.prompt), min(self.reasoning, self.completion)
        tenths = (self.prompt - cached) * 30_000 + cached * 3_000
        tenths += (self.completion - reasoning) * 150_000 + reasoning * 200_000
        return tenths // 10


PLANS = st.builds(
    Plan,
    st.none() | st.integers(0, len(FAULTS) - 1),
    *[st.integers(0, 200_000)] * 4,
    st.none() | st.integers(1, 4),
)


class Biller:
    """A provider that keeps its own books: it bills each answer of which it sent the usage."""

    def __init__(self, plans: Iterator[Plan]) -> None:
        self._plans = plans
        self.billed: list[int] = []

    def answer(self, request: Request) -> Script:
        plan = next(self._plans, Plan(None, 1, 0, 1, 0, None))
        if plan.fault is not None:
            return FAULTS[plan.fault]
        if not request.json.get("stream"):
            self.billed.append(plan.bill)
            return json_answer(completion(usage=plan.usage))
        events = chat_events(*WORDS, usage=plan.usage)
        if plan.breaks_after is not None:
            return [Headers(200, SSE_HEADERS), *map(Chunk, events[: plan.breaks_after]), Close()]
        self.billed.append(plan.bill)
        return sse_answer(*events)


@settings(max_examples=15)
@given(plans=st.lists(PLANS, max_size=12), streams=st.lists(st.booleans(), min_size=1, max_size=5), data=st.data())
def test_what_is_known_is_what_the_provider_bills(plans: list[Plan], streams: list[bool], data: st.DataObject) -> None:
    recovery = data.draw(st.sampled_from(["fail", "hold", "continue"]))
    billed, spool = asyncio.run(_run(plans, streams, recovery))
    spool.check()
    known = [row for row in spool.rows if row.usage_source == "provider"]
    assert sorted(_cost(row) for row in known) == sorted(billed)
    for row in spool.rows:
        assert (row.cost is None) == (row.usage_source == "unknown")
        assert (row.cost == 0 and row.input == 0) or row.usage_source != "none"


async def _run(plans: Sequence[Plan], streams: Sequence[bool], recovery: str) -> tuple[list[int], RecordedSpool]:
    model = {"prices": PRICES, "prefill": True}
    routing = {"streamRecovery": recovery, "maxRetries": 2}
    breaker = {"failureThreshold": 1000}
    async with candidates("ab", model=model, routing=routing, circuitBreaker=breaker) as (gw, ups, _):
        biller = Biller(iter(plans))
        for up in ups:
            up.on(biller.answer)
        client = await gw.client()
        for number, stream in enumerate(streams, 1):
            call = {"model": ["a", "b"], "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
            await client.fetch("POST", CHAT, json=call)
            await gw.settled(number)
        (ledger,) = gw.app.observers.exact
        spool = ledger._spool  # type: ignore[attr-defined]
        assert isinstance(spool, RecordedSpool)
        return biller.billed, spool


def _cost(row: Row) -> int:
    assert row.cost is not None
    return row.cost
