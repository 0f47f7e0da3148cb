"""Batches of settled exchanges reach every observer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from proxy.exchange import Exchange
from proxy.observe.observers import MAX_BATCH, Observers
from tests.observe.exchanges import settled
from tests.support import (
    Chunk,
    Close,
    Headers,
    RawClient,
    Stall,
    Upstream,
    chat_events,
    completion,
    error_json,
    json_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway, one_provider


class Batches:
    """A report: the ids of each batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, ended: Sequence[Exchange]) -> None:
        self.batches.append([each.request_id for each in ended])


@pytest.fixture
def received() -> Batches:
    return Batches()


@pytest.fixture
async def observers(received: Batches) -> Observers:
    found = Observers()
    found.lossy = (received,)
    found.attach(asyncio.get_running_loop())
    return found


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


def put(observers: Observers, *ids: str) -> None:
    for id_ in ids:
        observers.put(settled(request_id=id_))


async def test_exchanges_that_end_together_are_one_ordered_batch(observers: Observers, received: Batches) -> None:
    put(observers, "a", "b", "c")
    assert received.batches == []
    await until(lambda: received.batches, "the exchanges to be handed over")
    assert received.batches == [["a", "b", "c"]]
    put(observers, "d")
    await until(lambda: len(received.batches) > 1, "the next to be handed over")
    assert received.batches[1:] == [["d"]]


async def test_a_flush_delivers_queued_exchanges_exactly_once(observers: Observers, received: Batches) -> None:
    put(observers, "a")
    observers.flush()
    assert received.batches == [["a"]]
    put(observers, "b")
    await until(lambda: len(received.batches) > 1, "the next to be handed over")
    observers.flush()
    assert received.batches == [["a"], ["b"]]


async def test_a_full_batch_is_delivered_at_once(observers: Observers, received: Batches) -> None:
    put(observers, *map(str, range(MAX_BATCH + 3)))
    assert [len(batch) for batch in received.batches] == [MAX_BATCH]
    observers.flush()
    assert [len(batch) for batch in received.batches] == [MAX_BATCH, 3]


def test_without_a_loop_each_exchange_is_delivered_at_once(received: Batches) -> None:
    found = Observers()
    found.lossy = (received,)
    put(found, "a", "b")
    assert received.batches == [["a"], ["b"]]


async def test_exchanges_queued_at_the_stop_or_later_are_delivered(observers: Observers, received: Batches) -> None:
    put(observers, "a", "b")
    observers.attach(None)
    put(observers, "c")
    assert received.batches == [["a", "b"], ["c"]]


async def test_a_flush_in_another_thread_does_nothing(observers: Observers, received: Batches) -> None:
    put(observers, "a")
    thread = threading.Thread(target=observers.flush)
    thread.start()
    thread.join()
    assert received.batches == []
    observers.flush()
    assert received.batches == [["a"]]


async def test_an_observer_that_flushes_gets_nothing_twice(observers: Observers, received: Batches) -> None:
    observers.lossy = (lambda ended: observers.flush(), received)
    put(observers, "a")
    observers.flush()
    assert received.batches == [["a"]]


async def test_an_exception_of_one_observer_is_reported_and_does_not_affect_the_others(
    observers: Observers, received: Batches
) -> None:
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    defect = ZeroDivisionError()

    def fails(ended: Sequence[Exchange]) -> None:
        raise defect

    observers.lossy = (fails, received)
    put(observers, "a")
    observers.flush()
    assert (received.batches, errors) == ([["a"]], [defect])


async def test_a_queued_exchange_has_no_body_no_catalog_and_no_reservation(up: Upstream) -> None:
    up.on(lambda request: json_answer(completion("Hello")))
    limits = {"enabled": True, "global": {"tokensPerMinute": 1_000_000}}
    async with Gateway(one_provider(up, rateLimiting=limits)) as gw:
        waiting: list[Exchange] = []
        gw.app.observers.lossy += (waiting.extend,)
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/chat/completions", json={"model": "m", "messages": []})
        assert answer.status == 200
        await gw.settled()
    (exchange,) = waiting
    assert (exchange.reservation, exchange.fault) == (None, None)
    assert not hasattr(exchange, "catalog")
    assert exchange.outcome == "ok"


# Exact observers


class Ledger:
    """A synchronous observer: its exchanges, and whether they still had catalog and reservation."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self.whole = True

    def offer(self, exchange: Exchange) -> None:
        self.entries.append((exchange.endpoint.path, exchange.outcome))
        deployments = exchange.catalog.deployments
        self.whole &= [each.name for each in deployments] == ["m"]
        if exchange.outcome == "ok" and exchange.attempts:
            self.whole &= exchange.reservation is not None
        if exchange.outcome == "broken":
            self.whole &= exchange.fault is not None


async def test_a_synchronous_observer_gets_every_exchange_with_its_catalog(up: Upstream) -> None:
    chat, call, ledger = "/v1/chat/completions", {"model": "m", "messages": []}, Ledger()
    stream = [Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hi")[:2])]
    up.queue(
        json_answer(completion("Hello")), json_answer(error_json("no"), 500), [*stream, Close()], [*stream, Stall()]
    )
    up.on(lambda request: [Stall()])
    source = one_provider(up, rateLimiting={"enabled": True, "global": {"concurrent": 10}}, server={"drainSecs": 0})
    async with Gateway(source) as gw:
        gw.app.observers.exact = (ledger,)
        client = await gw.client()
        assert (await client.fetch("POST", chat, json=call)).status == 200
        assert ledger.entries == [("chat/completions", "ok")]  # at once, and not with the next batch
        assert (await client.fetch("POST", chat, json=call)).status == 502
        assert (await client.fetch("POST", chat, json=call | {"model": "unknown"})).status == 404
        assert (await client.fetch("GET", "/v1/models")).status == 200
        assert (await client.fetch("GET", "/v1/unknown")).status == 404
        await (await gw.client()).fetch("POST", chat, json=call | {"stream": True})
        gone = await gw.client()
        await gone.request("POST", chat, json=call | {"stream": True})
        await gone.read_head()
        gone.close()
        await until(lambda: len(ledger.entries) == 7, "the exchange whose client left")
        running = await RawClient(gw.port).connect()  # unlike those of `gw` it stays while the gateway stops
        await running.request("POST", chat, json=call)
        await up.request(4)
    running.close()
    assert [outcome for _, outcome in ledger.entries] == [
        *("ok", "error", "error", "ok", "error"),
        *("broken", "client_gone", "cancelled"),
    ]
    assert ledger.whole


async def test_a_failed_synchronous_observer_prevents_no_settlement(up: Upstream) -> None:
    class Broken:
        def offer(self, exchange: Exchange) -> None:
            raise ZeroDivisionError

    up.on(lambda request: json_answer(completion("Hello")))
    async with Gateway(one_provider(up)) as gw:
        errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context["exception"]))
        gw.app.observers.exact = (Broken(), ledger := Ledger())
        client = await gw.client()
        await client.fetch("POST", "/v1/chat/completions", json={"model": "m", "messages": []})
        assert (await gw.settled())["outcome"] == "ok"
    assert [type(each) for each in errors] == [ZeroDivisionError]
    assert len(ledger.entries) == 1
