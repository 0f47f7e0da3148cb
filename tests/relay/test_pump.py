from __future__ import annotations

import gzip

import pytest

from proxy.errors import BrokenAnswer
from proxy.net.inflate import PIECE
from proxy.routing.endpoints import OPAQUE
from tests.relay.call_rig import CONTENT, DONE, EVENTS, FINISHED, JSON, CallRig, Connection


async def test_a_compressed_answer_is_decoded_although_it_was_not_requested() -> None:
    connection = Connection()
    rig = CallRig(connection)
    outcome = rig.call.run()
    connection.head(JSON, (b"Content-Encoding", b"gzip"))
    connection.body(gzip.compress(b'{"a":1}'))
    connection.end()
    answer = await outcome
    assert answer is not None
    assert answer.body == b'{"a":1}'


async def test_the_end_waits_until_everything_is_decoded() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    connection.head(EVENTS, (b"Content-Encoding", b"gzip"))
    comment = b": " + b"x" * 1000 + b"\n\n"
    connection.body(gzip.compress(CONTENT + comment * (3 * PIECE // len(comment)) + FINISHED + DONE))
    assert connection.paused
    connection.end()
    assert rig.pool.released == []
    assert await outcome is None
    assert rig.pool.released == [connection]
    assert rig.body.endswith(DONE)
    rig.call.finish()


@pytest.mark.parametrize("coding", [b"br", b"gzip, gzip"])
async def test_an_unknown_coding_is_a_broken_answer(coding: bytes) -> None:
    connection = Connection()
    rig = CallRig(connection)
    outcome = rig.call.run()
    with pytest.raises(BrokenAnswer) as caught:
        connection.head(JSON, (b"Content-Encoding", coding))
    rig.call.broken(caught.value)
    with pytest.raises(BrokenAnswer):
        await outcome


async def test_a_truncated_compressed_answer_is_broken() -> None:
    connection = Connection()
    rig = CallRig(connection)
    outcome = rig.call.run()
    connection.head(JSON, (b"Content-Encoding", b"gzip"))
    connection.body(gzip.compress(b'{"a":1}')[:-4])
    connection.end()
    with pytest.raises(BrokenAnswer, match="cut off"):
        await outcome


async def test_an_event_stream_is_recognized_by_its_first_bytes() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    connection.head((b"Content-Type", b"text/plain"))
    connection.body(CONTENT[:3], CONTENT[3:], FINISHED, DONE)
    connection.end()
    assert await outcome is None
    assert rig.body == CONTENT + FINISHED + DONE
    assert b"text/event-stream" in b"".join(rig.client.writes)


async def test_json_instead_of_a_stream_is_collected() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    connection.head(JSON, (b"Content-Length", b"2"))
    connection.body(b"{}")
    connection.end()
    answer = await outcome
    assert answer is not None
    assert answer.body == b"{}"


async def test_before_the_content_the_attempt_sends_the_pings_and_then_the_relay_does() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True, pings=True)
    rig.call.run()
    connection.head(EVENTS)
    assert rig.call.pump is not None
    rig.call.pump.ping()
    assert (rig.pings, rig.body) == (1, b"")
    connection.body(CONTENT)
    rig.call.pump.ping()
    assert (rig.pings, rig.body) == (1, CONTENT + b": ping\n\n")
    rig.call.interrupt(None)
    rig.call.finish()


async def test_an_answer_of_passthrough_is_piped_with_its_length() -> None:
    connection = Connection()
    rig = CallRig(connection, endpoint=OPAQUE)
    outcome = rig.call.run()
    connection.head((b"Content-Type", b"audio/mpeg"), (b"Content-Length", b"4"))
    connection.body(b"ab")
    assert rig.body == b"ab"
    connection.body(b"cd")
    connection.end()
    assert await outcome is None
    assert rig.body == b"abcd"
    assert b"Content-Length: 4\r\n" in b"".join(rig.client.writes)
