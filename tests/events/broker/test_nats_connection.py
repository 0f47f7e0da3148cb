from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.nats import open_publisher
from proxy.events.broker.nats_connection import CLOSED_EARLY, connect
from tests.events.broker.nats_tools import (
    Said,
    event,
    published,
    reason_of_failure,
    settings,
)
from tests.support.nats import OwnNats
from tests.support.patience import until, within
from tests.support.ports import free_port
from tests.support.tls import Authority


async def test_a_server_without_jetstream() -> None:
    async with OwnNats(jetstream=None) as nats:
        assert await reason_of_failure(nats.url) == "the NATS server has no JetStream"


async def test_an_account_without_jetstream() -> None:
    accounts = {"plain": {"users": [{"user": "u", "password": "p"}]}, "$SYS": {"users": []}}
    async with OwnNats({"accounts": accounts}) as nats:
        assert "JetStream not enabled for account" in await reason_of_failure(nats.url.replace("//", "//u:p@"))


async def test_no_server() -> None:
    port = free_port()
    assert await reason_of_failure(f"nats://127.0.0.1:{port}") == f"127.0.0.1:{port}: Connection refused"


async def test_a_host_that_has_no_address() -> None:
    assert (await reason_of_failure("nats://user:secret@nats.invalid")).startswith("nats.invalid:4222: ")


@pytest.mark.parametrize("credentials", ["user:wrong%20password", "wrong-token", ""])
async def test_a_wrong_password_is_not_repeated(credentials: str) -> None:
    async with OwnNats({"authorization": {"user": "user", "password": "p@ss word"}}) as nats:
        reason = await reason_of_failure(nats.url.replace("//", f"//{credentials}@" if credentials else "//"))
    assert reason in {f"127.0.0.1:{nats.port}: {each}" for each in ("Authorization Violation", CLOSED_EARLY)}


@pytest.mark.parametrize(
    ("credentials", "authorization"),
    [("user:p%40ss%20word", {"user": "user", "password": "p@ss word"}), ("t%3Aken", {"token": "t:ken"})],
)
async def test_credentials_are_percent_decoded(credentials: str, authorization: dict[str, Any]) -> None:
    async with OwnNats({"authorization": authorization}) as nats:
        publisher = open_publisher(settings(nats.url.replace("//", f"//{credentials}@")), Said(), Said())
        await publisher.publish([event("a")])
        await publisher.close()


async def test_a_missing_permission_is_said() -> None:
    user = {"user": "u", "password": "p", "permissions": {"publish": {"deny": [">"]}}}
    async with OwnNats({"authorization": {"users": [user]}}) as nats:
        assert "permissions violation for publish" in await reason_of_failure(nats.url.replace("//", "//u:p@"))


async def test_an_event_that_is_too_large_is_said() -> None:
    async with OwnNats({"max_payload": 4096}) as nats:
        publisher = open_publisher(settings(nats.url), Said(), Said())
        with pytest.raises(BrokerUnavailable, match=r"exceeds max_payload of the server \(4096 bytes\)"):
            await publisher.publish([event("a", size=10_000)])
        await publisher.close()


async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with OwnNats() as nats:
        publisher = open_publisher(settings(nats.url), Said(), Said())
        await publisher.publish([event("a")])
        nats.hold()
        with monkeypatch.context() as patch:  # not for the streams that are made: a busy disk takes longer
            patch.setattr("proxy.events.broker.nats_connection.WAIT_SECS", 0.2)
            for _ in range(2):
                with pytest.raises(BrokerUnavailable, match=r"no answer within 0\.2 s"):
                    await publisher.publish([event("b")])
            assert await publisher.dead() == -1
        nats.resume()
        await within(published(publisher, event("b")), "the event to be published")
        await publisher.close()


async def test_closing_ends_a_publication() -> None:
    async with OwnNats() as nats:
        publisher = open_publisher(settings(nats.url), Said(), Said())
        await publisher.publish([event("a")])
        nats.hold()
        task = asyncio.ensure_future(publisher.publish([event("b")]))
        await asyncio.sleep(0)
        await publisher.close()
        with pytest.raises(BrokerUnavailable):
            await within(task, "the publication to end")
        nats.resume()


async def test_nothing_is_sent_after_closing_though_the_server_did_not_read() -> None:
    size, reads, received = 32_000_000, asyncio.Event(), asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload": 100000000, "headers": true}\r\n')
        while await reader.readline() != b"PING\r\n":
            pass
        writer.write(b"PONG\r\n")
        await reads.wait()
        count = 0
        with suppress(ConnectionError):
            while piece := await reader.read(1 << 20):
                count += len(piece)
        writer.close()
        received.set_result(count)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        connection = await connect(settings(), f"nats://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        transport: Any = connection._client._transport
        sending = asyncio.ensure_future(connection.send("subject", bytes(size)))
        await until(transport._io_writer.transport.get_write_buffer_size, "a full socket")
        await within(connection.close(), "the close")
        reads.set()
        assert await within(received, "the end of the socket") < size
        await asyncio.gather(sending, return_exceptions=True)


async def test_tls_with_a_client_certificate(tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.server_files(tmp_path)
    ca, (own, own_key) = str(authority.ca_file(tmp_path)), authority.client_files(tmp_path)
    tls = {"cert_file": str(certificate), "key_file": str(key), "ca_file": ca, "verify": True}
    async with OwnNats({"tls": tls}) as nats:
        url = nats.url.replace("nats:", "tls:")
        chosen = settings(url, ca_file=ca, cert_file=str(own), key_file=str(own_key))
        publisher = open_publisher(chosen, Said(), Said())
        await publisher.publish([event("a")])
        await publisher.close()
        assert "its certificate is not trusted: " in await reason_of_failure(url)
        assert await reason_of_failure(url, ca_file=ca)  # without a certificate of its own
        assert await reason_of_failure(url, ca_file=str(tmp_path / "absent.pem")) == (
            f"127.0.0.1:{nats.port}: No such file or directory"
        )


@pytest.mark.parametrize("credentials", ["user:secret@", "secret@", ""])
async def test_no_password_is_sent_to_a_server_that_does_not_speak_tls(credentials: str) -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,"headers":true}\r\n')
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reason = await reason_of_failure(f"tls://{credentials}127.0.0.1:{port}")
    assert reason == f"127.0.0.1:{port} does not speak TLS; use nats:// if it need not"
    assert heard == b""
    server.close()
    await server.wait_closed()
