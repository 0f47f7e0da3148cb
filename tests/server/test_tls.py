"""TLS between the socket and the HTTP connection: bytes in any pieces, goodbyes of every kind, pressure both ways."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config.schema import ListenTls
from proxy.server.request import Request
from tests.support import Authority, until, within
from tests.support.front import Front, ended
from tests.support.secure import SecureClient

MB = 1024 * 1024


class Echo(Front):
    """Answers with the body of the request, once ``hold`` lets it read."""

    async def _answer(self, request: Request) -> None:
        if self.hold is not None:
            await self.hold.wait()
        body = bytearray()
        while not request.payload.at_eof():
            body += await request.payload.readany()
        request.reply.send(200, b"", bytes(body))


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ListenTls:
    chain, key = authority.server_files(tmp_path)
    return ListenTls(cert_file=str(chain), key_file=str(key))


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    return authority.client_context()


@pytest.fixture
async def front(tls: ListenTls) -> AsyncIterator[Front]:
    async with Echo(tls=tls) as front:
        yield front


class Pieces(SecureClient):
    """What it sends goes out in pieces of so many bytes, each of which is read by itself."""

    size = 1

    async def _flush(self) -> None:
        data = self._outgoing.read()
        for start in range(0, len(data), self.size):
            await asyncio.get_running_loop().sock_sendall(self._socket, data[start : start + self.size])
            await asyncio.sleep(0)


@pytest.mark.parametrize("size", [1, 2, 5, 6, 100, 1000])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_bytes_may_come_in_any_pieces(
    size: int, version: ssl.TLSVersion, front: Front, trusting: ssl.SSLContext
) -> None:
    trusting.maximum_version = version
    client = Pieces(front.port, trusting)
    client.size = size
    async with client:
        for body in (b"hello", b"x" * 1000):
            assert (await client.fetch("POST", "/", body=body)).body == body


async def test_a_request_may_come_in_one_segment_with_the_end_of_the_handshake(
    front: Front, trusting: ssl.SSLContext
) -> None:
    client = SecureClient(front.port, trusting)
    flush, shaken = client._flush, False

    async def hold_back() -> None:
        if client.tls.version() is None or shaken:
            await flush()

    client._flush = hold_back  # type: ignore[method-assign]
    async with client:
        shaken = True
        assert (await client.fetch("POST", "/", body=b"hello")).body == b"hello"


async def test_requests_in_one_record_and_over_many_are_told_apart(front: Front, trusting: ssl.SSLContext) -> None:
    client = await front.secure(trusting)
    bodies = [b"a" * length for length in (0, 1, 16_300, 16_384, 16_385, 70_000)]
    await client.send(b"".join(client.encode("POST", "/", body=body) for body in bodies))
    for body in bodies:
        assert (await client.read_answer()).body == body


async def test_large_bodies_pass_whole_both_ways(front: Front, trusting: ssl.SSLContext) -> None:
    body = random.Random(1).randbytes(20 * MB)
    client = await front.secure(trusting)
    assert (await client.fetch("POST", "/", body=body)).body == body


async def test_a_body_that_nobody_reads_is_left_with_the_kernel_and_comes_whole_later(
    front: Front, trusting: ssl.SSLContext
) -> None:
    body = random.Random(2).randbytes(30 * MB)
    front.hold = asyncio.Event()
    client = await front.secure(trusting)
    sending = asyncio.create_task(client.request("POST", "/", body=body))
    await until(
        lambda: front.server.connections and front.server.connections[0]._reading_paused, "reading to be paused"
    )
    [connection] = front.server.connections
    assert connection.transport is not None
    assert not connection.transport.is_reading()
    assert not sending.done()
    front.hold.set()
    await within(sending, "the body to be taken")
    assert (await client.read_answer()).body == body


async def test_what_the_client_does_not_take_counts_as_unsent_byte_for_byte(
    tls: ListenTls, trusting: ssl.SSLContext
) -> None:
    """A large answer is written in one go: no layer may hide it, or it counts as delivered."""
    seen: list[tuple[int, bool]] = []

    class Large(Front):
        async def _answer(self, request: Request) -> None:
            request.reply.send(200, b"", bytes(40 * MB))
            seen.append((request.unsent, request.writing_paused))

    async with Large(tls=tls) as front:
        client = await front.secure(trusting, receive_buffer=64 * 1024)
        await client.request("GET", "/")
        await until(lambda: seen, "the answer to be written")
        [(unsent, paused)] = seen
        assert unsent > 25 * MB  # the kernel's buffers hold some megabytes
        assert paused
        [connection] = front.server.connections
        assert (await client.read_answer()).body == bytes(40 * MB)
        await until(lambda: not connection.writing_paused, "writing to go on")


# -- goodbyes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["goodbye", "close", "reset", "half"])
async def test_a_client_that_leaves_is_noticed_however_it_leaves(
    way: str, front: Front, trusting: ssl.SSLContext
) -> None:
    front.hold = asyncio.Event()
    client = await front.secure(trusting)
    await client.request("POST", "/", body=b"hello")
    await until(lambda: front.server.requests_count, "the request to be begun")
    match way:
        case "goodbye":
            await client.say_goodbye()
        case "close":
            client.close()
        case "reset":
            client.reset()
        case "half":
            client.half_close()
    await until(lambda: not front.limiter.connections, "the client to be gone")
    front.hold.set()


async def test_a_goodbye_between_two_requests_is_returned(front: Front, trusting: ssl.SSLContext) -> None:
    client = await front.secure(trusting)
    assert (await client.fetch("POST", "/", body=b"hello")).body == b"hello"
    await client.say_goodbye()
    await until(lambda: not front.limiter.connections, "the client to be gone")


async def test_the_last_answer_of_a_connection_ends_with_a_goodbye(front: Front, trusting: ssl.SSLContext) -> None:
    client = await front.secure(trusting)
    answer = await client.fetch("POST", "/", headers=[("Connection", "close")], body=b"x" * 100_000)
    assert answer.body == b"x" * 100_000
    assert await client.eof() == b""
    assert not client.truncated


async def test_a_refusal_is_read_although_more_is_on_its_way(front: Front, trusting: ssl.SSLContext) -> None:
    client = await front.secure(trusting)
    await client.send(b"POST / HTTP/9.9\r\n\r\n" + bytes(500_000))
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (400, "malformed_request")
    assert answer.header("strict-transport-security") == "max-age=31536000"
    assert await client.eof() == b""
    assert not client.truncated


async def test_an_answer_without_its_end_has_no_goodbye(tls: ListenTls, trusting: ssl.SSLContext) -> None:
    class Cut(Front):
        async def _answer(self, request: Request) -> None:
            request.reply.begin(200, b"", b"half")
            await asyncio.sleep(0)
            request.reply.abort()

    async with Cut(tls=tls) as front:
        client = await front.secure(trusting)
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        await client.eof()
        assert client.truncated


@pytest.mark.parametrize("place", [0, 3, 5, 20, -1])
async def test_a_record_that_was_tampered_with_ends_the_connection(
    place: int, front: Front, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    client = await front.secure(trusting)
    assert (await client.fetch("POST", "/", body=b"hello")).body == b"hello"
    client.tls.write(client.encode("POST", "/", body=b"hello"))
    record = bytearray(client._outgoing.read())
    record[place] ^= 1
    await asyncio.get_running_loop().sock_sendall(client._socket, record)
    client.half_close()
    await until(lambda: not front.limiter.connections, "the connection to be ended")
    assert front.server.requests_count == 1
    assert caplog.records == []


async def test_random_bytes_never_do_more_than_end_their_own_connection(
    front: Front, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(3)
    steady = await front.secure(trusting)
    for _ in range(100):
        mute = front.silent()
        begun = b"\x16\x03\x01" if dice.random() < 0.8 else b""
        await asyncio.get_running_loop().sock_sendall(mute, begun + dice.randbytes(dice.randrange(1, 400)))
        mute.shutdown(1)
        await ended(mute)
    assert (await steady.fetch("POST", "/", body=b"hello")).body == b"hello"
    await until(lambda: front.limiter.connections == 1, "the others to be gone")
    assert caplog.records == []


async def test_a_write_after_the_end_goes_nowhere(front: Front, trusting: ssl.SSLContext) -> None:
    front.hold = asyncio.Event()
    client = await front.secure(trusting)
    await client.request("POST", "/", body=b"hello")
    await until(lambda: front.server.requests_count, "the request to be begun")
    transport = front.server.connections[0].transport
    assert transport is not None
    assert transport.can_write_eof()
    transport.abort()
    for _ in range(10):
        transport.write(b"more")
    transport.close()
    assert transport.is_closing()
    assert await client.eof() == b""
    front.hold.set()
