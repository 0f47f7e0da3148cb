"""No exchange leaves a reference cycle: its memory is free at once, not at the next collection."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from proxy.dispatch.attempt import AttemptRun
from proxy.dispatch.dispatch import Dispatch
from proxy.relay.upstream_call import UpstreamCall
from tests.dispatch.streams import EVENTS, FIRST, ROLE, STREAM, ask, begun
from tests.dispatch.test_verdict import OPTIONS
from tests.support import Close, Stall, error_json, json_answer, sse_answer, until
from tests.support.candidates import candidates
from tests.support.lives import at_rest
from tests.support.steps import Script

FAILURES: dict[str, Script] = {
    "none": sse_answer(*EVENTS),
    "refused": json_answer(error_json(), 500),
    "closed": [Close()],
    "broken": [*begun(ROLE, FIRST), Close()],
    "silent": [Stall()],
}


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # what earlier tests have left behind does not count
    gc.disable()
    yield
    gc.enable()


def left() -> list[object]:
    return [each for each in gc.get_objects() if type(each) in (Dispatch, AttemptRun, UpstreamCall)]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("first", FAILURES.values(), ids=FAILURES.keys())
async def test_an_exchange_leaves_no_cycle(first: Script, option: str) -> None:
    clocks = {"total": 0.1} if first is FAILURES["silent"] else {}
    async with candidates("ab", prefill="ab", routing=OPTIONS[option], per_model={"a": {"timeouts": clocks}}) as (
        gw,
        ups,
        _,
    ):
        ups[0].on(lambda request: first)
        ups[1].on(lambda request: sse_answer(*EVENTS))
        for _ in range(2):
            client = await ask(gw, STREAM | {"model": ["a", "b"]})
            assert (await client.read_head()).status == 200
            await client.read_events()
            client.close()
        await at_rest(gw)
        await until(lambda: not left(), "the exchanges to be freed")
