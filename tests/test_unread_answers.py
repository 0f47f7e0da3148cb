"""Answers that no provider feeds, and clients that do not read them: pages, errors, lists, on every listener."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from proxy.server.connection import Connection
from proxy.server.listener import Listener
from tests.support import Authority, RawClient, Upstream, until
from tests.support.gateway import ADMIN, Gateway, one_provider
from tests.support.secure import SecureClient

BUNDLE = "/docs/swagger-ui-bundle.js"
SMALL = 4096  # bytes of the client's receive buffer
# uvloop's high-water mark is 64 KiB, a piece of a page 64 KiB, and the outbox writes at most a megabyte at once.
HELD = 2 * 1024 * 1024


def listener(gw: Gateway, name: str) -> Listener:
    found = gw.app.listeners.api if name == "api" else gw.app.listeners.own
    assert found is not None
    return found


def config(up: Upstream, **sections: Any) -> dict[str, Any]:
    return one_provider(up, admin={"token": ADMIN, "listen": "127.0.0.1:0"}, **sections)


def unsent(connection: Connection) -> int:
    return 0 if connection.transport is None else connection.transport.get_write_buffer_size()


def used(gw: Gateway) -> int:
    assert gw.app.gateway is not None
    return gw.app.gateway._context.budget.used


def served(found: Listener, count: int) -> bool:
    return found.server.requests_count >= count


async def paused(found: Listener) -> Connection:
    """The only connection, once its client takes no more."""
    await until(lambda: any(each.writing_paused for each in found.server.connections), "writing to be paused")
    (connection,) = found.server.connections
    assert isinstance(connection, Connection)
    return connection


def pipelined(client: RawClient, target: str, count: int) -> bytes:
    return client.encode("GET", target) * count


# Pages that need no credential, with their addresses.
PAGES = {
    "a file of the documentation": ("admin", BUNDLE, 1500),
    "the description of the API": ("admin", "/openapi.json", 1500),
    "the metrics": ("admin", "/metrics", 1500),
    "an error on the admin's listener": ("admin", "/nowhere", 20_000),
    "an error on the API's listener": ("api", "/nowhere", 20_000),
    "the list of models": ("api", "/v1/models", 20_000),
    "a page of the API's listener": ("api", "/health", 20_000),
}


@pytest.mark.parametrize(("where", "target", "count"), PAGES.values(), ids=PAGES)
async def test_pipelined_requests_wait_while_the_client_reads_nothing(where: str, target: str, count: int) -> None:
    async with Upstream() as up, Gateway(config(up)) as gw:
        found = listener(gw, where)
        async with RawClient(found.port, receive_buffer=SMALL) as client:
            sending = asyncio.ensure_future(client.send(pipelined(client, target, count)))
            connection = await paused(found)
            await until(lambda: used(gw) > 0, "what is unsent to be on the budget")
            for _ in range(20):  # a gateway that does not wait would serve on in each turn of the loop
                await asyncio.sleep(0)
            served = found.server.requests_count
            assert served < count
            assert unsent(connection) < HELD
            assert used(gw) <= HELD
            for _ in range(20):
                await asyncio.sleep(0)
            assert found.server.requests_count == served
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        await until(lambda: not found.server.connections, "the connection to be gone")
        assert used(gw) == 0


async def test_many_pipelined_requests_do_not_delay_other_connections() -> None:
    count = 1000  # all of them fit into one read
    async with Upstream() as up, Gateway(config(up)) as gw:
        found = listener(gw, "api")
        async with RawClient(found.port) as other, RawClient(found.port) as client:
            await other.fetch("GET", "/health/live")
            before = found.server.requests_count
            await client.send(pipelined(client, "/nowhere", count))
            assert (await other.fetch("GET", "/health/live")).status == 200
            assert found.server.requests_count - before < count
            for _ in range(count):
                assert (await client.read_answer()).status == 404


async def test_pipelined_requests_wait_over_tls_too(authority: Authority, tmp_path: Path) -> None:
    chain, key = authority.server_files(tmp_path)
    tls = {"certFile": str(chain), "keyFile": str(key)}
    async with Upstream() as up, Gateway(one_provider(up, server={"tls": tls})) as gw:
        found = listener(gw, "api")
        async with SecureClient(gw.port, authority.client_context(), receive_buffer=SMALL) as client:
            sending = asyncio.ensure_future(client.send(pipelined(client, BUNDLE, 1500)))
            connection = await paused(found)
            await until(lambda: used(gw) > 0, "what is unsent to be on the budget")
            assert found.server.requests_count < 1500
            assert unsent(connection) < HELD
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        await until(lambda: not found.server.connections, "the connection to be gone")
        assert used(gw) == 0


async def test_pipelined_pages_arrive_completely_once_the_client_reads() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        whole = (await (await gw.client()).fetch("GET", BUNDLE)).body
        client = await gw.client(receive_buffer=SMALL)
        await client.send(pipelined(client, BUNDLE, 4) + client.encode("GET", "/health"))
        await until(lambda: used(gw) > 0, "the client to be waited for")
        for _ in range(4):
            answer = await client.read_answer()
            assert (answer.status, answer.body) == (200, whole)
        assert (await client.read_answer()).json["status"] == "ok"
        await until(lambda: used(gw) == 0, "nothing to be held")


@pytest.mark.parametrize(("where", "target"), [("admin", BUNDLE), ("api", "/nowhere")])
async def test_a_client_that_does_not_read_a_page_is_disconnected_after_client_stall(where: str, target: str) -> None:
    async with Upstream() as up, Gateway(config(up, timeouts={"clientStall": 0.2})) as gw:
        found = listener(gw, where)
        async with RawClient(found.port, receive_buffer=SMALL) as client:
            sending = asyncio.ensure_future(client.send(pipelined(client, target, 20_000)))
            await paused(found)
            await until(lambda: not found.server.connections, "the client to be left")
            await asyncio.gather(sending, return_exceptions=True)
        assert used(gw) == 0


@pytest.mark.parametrize("ending", ["the last request", "the clock of idle connections"])
async def test_a_closing_connection_with_unsent_bytes_is_aborted_after_client_stall(
    ending: str, tmp_path: Path
) -> None:
    """Closing waits until the kernel has everything, which a client that reads nothing can put off for ever."""
    path = str(tmp_path / "gateway.sock")
    server = {"unixSocket": path, "keepAliveSecs": 60}
    async with Upstream() as up, Gateway(one_provider(up, server=server, timeouts={"clientStall": 0.2})) as gw:
        found = listener(gw, "api")
        async with RawClient(path) as client:
            await until(lambda: bool(found.server.connections), "the connection")
            (connection,) = found.server.connections
            assert isinstance(connection, Connection)
            for sent in range(1, 10_000):
                await client.send(client.encode("GET", "/nowhere"))
                await until(partial(served, found, sent), "the request to be served")
                for _ in range(3):  # uvloop writes at the end of its turn
                    await asyncio.sleep(0)
                if unsent(connection):
                    break
            assert unsent(connection)
            assert not connection.writing_paused
            if ending == "the last request":
                await client.send(client.encode("GET", "/nowhere", [("Connection", "close")]))
            else:
                connection._next_keepalive_close_time = 0.0
                connection._process_keepalive()
            await until(lambda: found.server.limiter.connections == 0, "the connection to end")


async def test_a_page_is_the_same_for_head_and_for_http_1_0() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        whole = await client.fetch("GET", BUNDLE)
        assert whole.header("content-length") == str(len(whole.body))
        head = await client.fetch("HEAD", BUNDLE)
        assert (head.header("content-length"), head.body) == (str(len(whole.body)), b"")
        packed = await client.fetch("GET", BUNDLE, headers=[("Accept-Encoding", "gzip")])
        assert packed.header("content-length") == str(len(packed.body))
        await client.send(client.encode("GET", BUNDLE).replace(b"HTTP/1.1", b"HTTP/1.0"))
        old = await client.read_answer()
        assert (old.header("content-length"), old.body) == (str(len(whole.body)), whole.body)


async def test_a_scrape_is_rejected_while_buffers_are_full() -> None:
    async with Upstream() as up, Gateway(one_provider(up, server={"maxBufferedMb": 1})) as gw:
        assert gw.app.gateway is not None
        budget = gw.app.gateway._context.budget
        client = await gw.client()
        budget.used = budget.limit
        refused = await client.fetch("GET", "/metrics")
        assert (refused.status, refused.json["error"]["code"]) == (503, "buffers_full")
        assert (await client.fetch("GET", "/health/live")).status == 200
        assert (await client.fetch("GET", "/docs/swagger-ui-bundle.js")).status == 200
        budget.used = 0
        assert (await client.fetch("GET", "/metrics")).status == 200
