"""Connections to RabbitMQ, and the reasons why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pamqp.frame import marshal
from pamqp.heartbeat import Heartbeat

from proxy.events.broker import amqp_link
from proxy.events.broker.amqp_link import AmqpDialer, place_of, reasons
from proxy.events.broker.base import BrokerUnavailable
from proxy.events.settings import BrokerSettings
from tests.support.patience import within
from tests.support.ports import free_port
from tests.support.services import rabbitmq_url


async def refusal(*addresses: str, **settings: Any) -> str:
    with pytest.raises(BrokerUnavailable) as caught:
        await within(AmqpDialer(BrokerSettings(addresses, **settings), "test").connect(), "a refusal")
    return str(caught.value)


def at_broker(user: str = "guest:guest", path: str = "/") -> str:
    return f"amqp://{user}@{place_of(rabbitmq_url())}{path}"


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[str]:
    """Answers with these bytes and closes; None: never answers."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await ended.wait()
        else:
            await reader.read(8)
            writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"amqp://user:secret@127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        ended.set()


def test_the_place_has_no_password() -> None:
    assert place_of("amqp://user:secret@broker/vhost") == "broker:5672"
    assert place_of("amqps://user:secret@broker") == "broker:5671"
    assert place_of("amqp://user:secret@[::1]:5673/") == "[::1]:5673"


@pytest.mark.parametrize("path", ["", "/", "/%2F", "/%2f"])
async def test_the_default_virtual_host(path: str) -> None:
    link = await AmqpDialer(BrokerSettings((at_broker(path=path),)), "test").connect()
    assert link.open
    assert await link.blocked() == ""
    await link.close()
    assert not link.open


async def test_an_address_that_is_no_url() -> None:
    assert "127.0.0.1:5672" in await refusal("amqp://user:sec\\ret@127.0.0.1/")


async def test_a_wrong_password() -> None:
    assert (await refusal(at_broker("guest:secret"))).endswith(": it refuses the user or the password")


async def test_a_wrong_virtual_host() -> None:
    assert "it refuses the virtual host: it does not exist" in await refusal(at_broker(path="/no%2Fne"))


async def test_no_such_host() -> None:
    assert (await refusal("amqp://user:secret@host.invalid/")).startswith("host.invalid:5672: ")


async def test_nothing_listens() -> None:
    port = free_port()
    assert await refusal(f"amqp://user:secret@127.0.0.1:{port}/") == f"127.0.0.1:{port}: Connection refused"


async def test_an_address_that_is_not_rabbitmq() -> None:
    async with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        found = await refusal(address)
        assert found.endswith("it closed the connection")  # the text has no length that makes a frame


async def test_a_server_that_wants_another_protocol() -> None:
    async with server(b"AMQP\x00\x01\x00\x00") as address:
        assert (await refusal(address)).endswith("it does not speak AMQP 0-9-1")


async def test_a_server_that_closes_at_once() -> None:
    async with server(b"") as address:
        assert (await refusal(address)).endswith("it closed the connection")


async def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amqp_link, "LIMIT_SECS", 0.05)
    async with server(None) as address:
        assert (await refusal(address)).endswith(" does not respond")


async def test_tls_to_a_port_without(tmp_path: Any) -> None:
    found = await refusal(f"amqps://user:secret@{place_of(rabbitmq_url())}/")
    assert "TLS failed" in found or "closed" in found or "reset" in found.lower()


async def test_files_of_tls_that_are_missing() -> None:
    found = await refusal("amqps://127.0.0.1/", ca_file="/nowhere/ca.pem")
    assert found == "127.0.0.1:5671: the files of events.tls cannot be used: No such file or directory"


async def test_the_dialer_takes_the_addresses_in_turn() -> None:
    ports = [free_port(), free_port()]
    dialer = AmqpDialer(BrokerSettings(tuple(f"amqp://127.0.0.1:{port}/" for port in ports)), "test")
    seen = []
    for _ in range(3):
        with pytest.raises(BrokerUnavailable) as caught:
            await dialer.connect()
        seen.append(int(str(caught.value).split(":")[1]))
    assert seen == [ports[0], ports[1], ports[0]]


async def test_a_cancellation_of_the_task_stays_one() -> None:
    async def work() -> None:
        with reasons("here"):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_by_aiormq_is_a_lost_connection() -> None:
    with pytest.raises(BrokerUnavailable, match="here: the connection ended"), reasons("here"):
        raise asyncio.CancelledError


async def test_a_connection_that_ends_right_behind_a_frame_is_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers: list[asyncio.StreamReader] = []
    connect = asyncio.open_connection

    async def seen(*arguments: Any, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await connect(*arguments, **options)
        readers.append(reader)
        return reader, writer

    monkeypatch.setattr(asyncio, "open_connection", seen)
    link = await AmqpDialer(BrokerSettings((at_broker(),)), "test").connect()
    channel = await link.channel(confirms=True)
    confirmation = channel.create_future()  # of a message
    readers[0].feed_data(marshal(Heartbeat(), 0))
    readers[0].feed_eof()
    with pytest.raises(BrokerUnavailable, match="here: the connection ended"), reasons("here"):
        await within(confirmation, "the end of the connection")
    await link.close()


def test_a_defect_is_no_reason() -> None:
    with pytest.raises(ArithmeticError), reasons("here"):
        raise ArithmeticError


async def test_the_name_is_on_the_connection() -> None:
    link = await AmqpDialer(BrokerSettings((at_broker(),)), "a name of mine").connect()
    assert link._connection.connection_name == "a name of mine"
    await link.close()
