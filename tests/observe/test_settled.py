"""What ended is handed over soon, at once where somebody looks, and never lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from proxy.exchange import Exchange
from proxy.observe.settled import MOST, Settled
from tests.observe.exchanges import settled
from tests.support import Upstream, completion, json_answer, until
from tests.support.gateway import Gateway, one_provider


class Heard:
    """A report: the ids of each batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, ended: Sequence[Exchange]) -> None:
        self.batches.append([each.request_id for each in ended])


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def gathering(heard: Heard) -> Settled:
    found = Settled()
    found.reports = (heard,)
    found.attach(asyncio.get_running_loop())
    return found


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


def put(gathering: Settled, *ids: str) -> None:
    for id_ in ids:
        gathering.put(settled(request_id=id_))


async def test_what_ends_together_is_handed_over_together_and_in_order(gathering: Settled, heard: Heard) -> None:
    put(gathering, "a", "b", "c")
    assert heard.batches == []
    await until(lambda: heard.batches, "the exchanges to be handed over")
    assert heard.batches == [["a", "b", "c"]]
    put(gathering, "d")
    await until(lambda: len(heard.batches) > 1, "the next to be handed over")
    assert heard.batches[1:] == [["d"]]


async def test_who_looks_misses_nothing_and_nothing_comes_twice(gathering: Settled, heard: Heard) -> None:
    put(gathering, "a")
    gathering.flush()
    assert heard.batches == [["a"]]
    put(gathering, "b")
    await until(lambda: len(heard.batches) > 1, "the next to be handed over")
    gathering.flush()
    assert heard.batches == [["a"], ["b"]]


async def test_while_the_loop_is_held_only_so_many_wait(gathering: Settled, heard: Heard) -> None:
    put(gathering, *map(str, range(MOST + 3)))
    assert [len(batch) for batch in heard.batches] == [MOST]
    gathering.flush()
    assert [len(batch) for batch in heard.batches] == [MOST, 3]


def test_without_a_loop_each_is_handed_over_at_once(heard: Heard) -> None:
    found = Settled()
    found.reports = (heard,)
    put(found, "a", "b")
    assert heard.batches == [["a"], ["b"]]


async def test_what_waits_at_the_stop_and_what_ends_after_it_is_handed_over(gathering: Settled, heard: Heard) -> None:
    put(gathering, "a", "b")
    gathering.attach(None)
    put(gathering, "c")
    assert heard.batches == [["a", "b"], ["c"]]


async def test_another_thread_hands_over_nothing(gathering: Settled, heard: Heard) -> None:
    put(gathering, "a")
    thread = threading.Thread(target=gathering.flush)
    thread.start()
    thread.join()
    assert heard.batches == []
    gathering.flush()
    assert heard.batches == [["a"]]


async def test_a_report_that_logs_sees_itself_handed_nothing_twice(gathering: Settled, heard: Heard) -> None:
    gathering.reports = (lambda ended: gathering.flush(), heard)
    put(gathering, "a")
    gathering.flush()
    assert heard.batches == [["a"]]


async def test_a_defect_of_one_report_is_told_and_costs_the_others_nothing(gathering: Settled, heard: Heard) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    defect = ZeroDivisionError()

    def fails(ended: Sequence[Exchange]) -> None:
        raise defect

    gathering.reports = (fails, heard)
    put(gathering, "a")
    gathering.flush()
    assert (heard.batches, told) == ([["a"]], [defect])


async def test_what_waits_holds_no_body_no_catalog_and_nothing_that_a_request_was_granted(up: Upstream) -> None:
    up.on(lambda request: json_answer(completion("Hello")))
    limits = {"enabled": True, "global": {"tokensPerMinute": 1_000_000}}
    async with Gateway(one_provider(up, rateLimiting=limits)) as gw:
        waiting: list[Exchange] = []
        gw.app.settled.reports += (waiting.extend,)
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/chat/completions", json={"model": "m", "messages": []})
        assert answer.status == 200
        await gw.settled()
    (exchange,) = waiting
    assert (exchange.hold, exchange.fault) == (None, None)
    assert not hasattr(exchange, "catalog")
    assert exchange.outcome == "ok"
