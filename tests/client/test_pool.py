"""Keep-alive connections over real sockets: who gets which, how long they live, who waits and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.client.connection import UpstreamConnection
from proxy.client.dial import Dialer, Origin
from proxy.client.head import Head
from proxy.client.pool import ConnectionPool
from proxy.config.provider_schema import PoolSettings as Settings
from proxy.config.provider_schema import Tls
from proxy.errors import ClockExpired, ConnectFailed, GatewayError
from proxy.net.outbox import Outbox
from proxy.observe.metrics import Metrics
from tests.support import Blackhole, Close, Send, Upstream, Wait, until, within

GET = b"GET / HTTP/1.1\r\nHost: up\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Sink:
    """Releases its connection to the pool when the answer has ended, as an attempt does."""

    def __init__(self, pool: ConnectionPool, connection: UpstreamConnection) -> None:
        self._pool = pool
        self._connection = connection
        self.fault: GatewayError | None = None
        self.over = asyncio.Event()

    def head(self, head: Head) -> Callable[[bytes], None]:
        return lambda data: None

    def end(self) -> None:
        self._pool.release(self._connection)
        self.over.set()

    def broken(self, fault: GatewayError) -> None:
        self.fault = fault
        self.over.set()


class Scene:
    """A pool with one scripted provider behind it."""

    def __init__(self, up: Upstream, pool: ConnectionPool, metrics: Metrics) -> None:
        self.up = up
        self.pool = pool
        self.metrics = metrics
        self.origin = Origin("http", up.host, up.port, Tls())

    async def open(self) -> UpstreamConnection:
        return await within(self.pool.open(self.origin, 5.0), "a connection")

    def take(self) -> UpstreamConnection | None:
        return self.pool.take(self.origin, asyncio.get_running_loop().time())

    async def use(self, connection: UpstreamConnection) -> None:
        """One whole request and answer; then the connection is back in the pool, if it may be."""
        sink = Sink(self.pool, connection)
        connection.send((GET,), sink, asyncio.get_running_loop().time())
        await within(sink.over.wait(), "the answer")


@asynccontextmanager
async def scene(**settings: Any) -> AsyncIterator[Scene]:
    async with Upstream() as up:
        up.on(lambda request: [OK])
        metrics = Metrics()
        loop = asyncio.get_running_loop()
        pool = ConnectionPool(Dialer({}), Settings(**settings), loop, metrics, Outbox(loop))
        try:
            yield Scene(up, pool, metrics)
        finally:
            pool.close()
            await until(lambda: not len(pool), "the pool to be empty")


async def test_an_empty_pool_has_nothing_to_take() -> None:
    async with scene() as stage:
        assert stage.take() is None
        assert stage.up.connections == []


async def test_the_newest_idle_connection_comes_first() -> None:
    async with scene() as stage:
        first, second, third = [await stage.open() for _ in range(3)]
        for connection in (second, first, third):
            await stage.use(connection)
        assert [stage.take(), stage.take(), stage.take(), stage.take()] == [third, first, second, None]
        assert stage.metrics.upstream_connections_opened == 3
        assert stage.metrics.upstream_connections_reused == 3


async def test_origins_share_nothing() -> None:
    async with scene() as stage, Upstream() as other:
        await stage.use(await stage.open())
        assert stage.pool.take(Origin("http", other.host, other.port, Tls()), 0.0) is None
        assert stage.pool.take(Origin("http", stage.up.host, stage.up.port, Tls(verify=False)), 0.0) is None
        assert stage.take() is not None


async def test_a_connection_idle_for_too_long_is_not_taken() -> None:
    async with scene(idle_secs=30.0) as stage:
        connection = await stage.open()
        await stage.use(connection)
        connection.last_read -= 31.0
        assert stage.take() is None
        await until(lambda: not len(stage.pool), "the old connection to be gone")


async def test_a_connection_older_than_its_lifetime_is_neither_taken_nor_kept() -> None:
    async with scene(max_age_secs=600.0) as stage:
        idle, busy = await stage.open(), await stage.open()
        await stage.use(idle)
        idle.born -= 601.0
        assert stage.take() is None
        busy.born -= 601.0
        await stage.use(busy)
        assert stage.take() is None
        await until(lambda: not len(stage.pool), "both to be gone")


async def test_idle_connections_are_closed_by_a_timer() -> None:
    async with scene(idle_secs=0.05) as stage:
        await stage.use(await stage.open())
        await within(stage.up.connections[0].gone.wait(), "the idle connection to be closed")
        await until(lambda: not len(stage.pool), "the pool to know it")
        assert stage.pool._sweep is None  # an empty pool runs no timer


async def test_a_busy_connection_outlives_the_idle_limit() -> None:
    async with scene(idle_secs=0.02) as stage:
        go = asyncio.Event()
        busy, idle = await stage.open(), await stage.open()
        stage.up.queue([Wait(go), Send(OK)])
        sink = Sink(stage.pool, busy)
        busy.send((GET,), sink, asyncio.get_running_loop().time())
        await stage.up.request(0)
        await stage.use(idle)
        await until(lambda: len(stage.pool) == 1, "the idle one to be swept away")
        go.set()
        await within(sink.over.wait(), "the answer")
        assert sink.fault is None


async def test_limits_of_zero_keep_a_connection_forever() -> None:
    async with scene(idle_secs=0.0, max_age_secs=0.0) as stage:
        connection = await stage.open()
        await stage.use(connection)
        connection.born -= 1e6
        connection.last_read -= 1e6
        assert stage.take() is connection


async def test_a_connection_that_the_provider_closed_is_forgotten() -> None:
    async with scene() as stage:
        stage.up.on(lambda request: [Send(OK), Close()])
        await stage.use(await stage.open())
        await until(lambda: not len(stage.pool), "the closed connection to be forgotten")
        assert stage.take() is None
        assert stage.pool.open_by_origin() == {}


async def test_an_answer_with_surplus_bytes_does_not_bring_its_connection_back() -> None:
    async with scene() as stage:
        stage.up.on(lambda request: [Send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")])
        await stage.use(await stage.open())
        assert stage.take() is None


# -- the optional maximum -----------------------------------------------------------------------------


async def test_at_the_maximum_the_next_request_waits_for_a_free_connection() -> None:
    async with scene(max_connections=1) as stage:
        first = await stage.open()
        waiting = asyncio.ensure_future(stage.open())
        await asyncio.sleep(0)
        assert not waiting.done()
        await stage.use(first)
        assert await within(waiting, "the free connection") is first
        assert len(stage.up.connections) == 1


async def test_a_lost_connection_frees_its_place() -> None:
    async with scene(max_connections=1) as stage:
        first = await stage.open()
        waiting = asyncio.ensure_future(stage.open())
        await asyncio.sleep(0)
        first.abort()
        assert await within(waiting, "a new connection") is not first


async def test_waiting_for_a_place_is_bounded() -> None:
    async with scene(max_connections=1, wait_secs=0.05) as stage:
        await stage.open()
        with pytest.raises(ConnectFailed) as caught:
            await stage.open()
        assert (caught.value.status, caught.value.code) == (502, "upstream_busy")


async def test_the_wait_is_bounded_however_often_another_request_is_faster() -> None:
    class Quick(Sink):
        """Takes the connection again in the very turn of the loop in which it came free."""

        def end(self) -> None:
            self._pool.release(self._connection)
            assert self._pool.take(self._connection.origin, 0.0) is self._connection
            self.over.set()

    async with scene(max_connections=1, wait_secs=0.1) as stage:
        connection = await stage.open()
        waiting = asyncio.ensure_future(stage.open())
        until_then = asyncio.get_running_loop().time() + 5.0
        while not waiting.done() and asyncio.get_running_loop().time() < until_then:
            sink = Quick(stage.pool, connection)
            connection.send((GET,), sink, asyncio.get_running_loop().time())
            await within(sink.over.wait(), "the answer")
        assert waiting.done()
        with pytest.raises(ConnectFailed):
            waiting.result()


async def test_the_longest_waiter_is_served_first() -> None:
    async with scene(max_connections=1) as stage:
        connection = await stage.open()
        served: list[int] = []

        async def one(number: int) -> None:
            mine = await stage.pool.open(stage.origin, 5.0)
            served.append(number)
            await stage.use(mine)

        tasks = [asyncio.ensure_future(one(number)) for number in range(5)]
        await asyncio.sleep(0)
        await stage.use(connection)
        await within(asyncio.gather(*tasks), "all of them")
        assert served == [0, 1, 2, 3, 4]
        assert len(stage.up.connections) == 1


async def test_a_waiter_that_gives_up_as_it_is_woken_passes_its_turn_on() -> None:
    async with scene(max_connections=1) as stage:
        connection = await stage.open()
        quitter = asyncio.ensure_future(stage.open())
        patient = asyncio.ensure_future(stage.open())
        await asyncio.sleep(0)
        sink = Sink(stage.pool, connection)
        connection.send((GET,), sink, asyncio.get_running_loop().time())
        # Cancelled in the very turn of the loop in which the connection came free.
        sink.over.set = lambda: quitter.cancel()  # type: ignore[assignment,method-assign,return-value]
        assert await within(patient, "the connection") is connection
        assert quitter.cancelled()


async def test_a_failed_dial_frees_its_place() -> None:
    async with scene(max_connections=1) as stage:
        with Blackhole() as hole:
            dark = Origin("http", "127.0.0.1", hole.port, Tls())
            first = asyncio.ensure_future(stage.pool.open(dark, 0.05))
            second = asyncio.ensure_future(stage.pool.open(dark, 0.05))
            for attempt in (first, second):
                with pytest.raises(ClockExpired) as caught:
                    await within(attempt, "the connect clock")
                assert caught.value.code == "timeout_connect"
        assert stage.pool.open_by_origin() == {}


async def test_a_canceled_dial_frees_its_place() -> None:
    async with scene(max_connections=1) as stage:
        with Blackhole() as hole:
            dark = Origin("http", "127.0.0.1", hole.port, Tls())
            dialling = asyncio.ensure_future(stage.pool.open(dark, 60.0))
            await until(stage.pool.open_by_origin, "the dial to begin")
            dialling.cancel()
            await asyncio.wait({dialling})
        assert stage.pool.open_by_origin() == {}
        assert len(stage.pool) == 0


# -- closing ----------------------------------------------------------------------------------------------


async def test_closing_ends_idle_and_busy_connections_and_the_timer() -> None:
    async with scene() as stage:
        idle, busy = await stage.open(), await stage.open()
        await stage.use(idle)
        stage.pool.close()
        for connection in stage.up.connections:
            await within(connection.gone.wait(), "the connection to be closed")
        assert stage.pool._sweep is None
        await until(lambda: not len(stage.pool), "the pool to be empty")
        assert busy.transport is None


async def test_connections_to_an_address_that_left_end_when_they_are_idle() -> None:
    async with scene() as one:
        busy, idle = await one.open(), await one.open()
        await one.use(idle)
        one.pool.leave(one.origin)
        assert one.take() is None
        await until(lambda: one.pool.open_by_origin() == {one.origin: 1}, "the idle connection to end")
        await one.use(busy)
        await until(lambda: len(one.pool) == 0, "the busy connection to end with its answer")
        await one.use(await one.open())  # a request that had begun before goes there, or the address is back
        assert one.take() is not None


async def test_the_repr_of_a_pool_counts_its_connections() -> None:
    async with scene() as stage:
        idle = await stage.open()
        await stage.open()
        await stage.use(idle)
        assert repr(stage.pool) == "<ConnectionPool open=2 idle=1>"
        assert stage.pool.open_by_origin() == {stage.origin: 2}
