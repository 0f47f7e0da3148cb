from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.errors import ClientGone, ClockExpired, ConnectFailed, ConnectionBroken, GatewayError, ShuttingDown
from proxy.relay.upstream_call import BIG_BODY
from tests.relay.call_rig import CONTENT, DONE, EVENTS, FINISHED, JSON, CallRig, Connection
from tests.support import chat_events, until
from tests.support.answers import USAGE

BROKEN = "The provider closed the connection early."


async def test_a_plain_answer_in_one_read_is_returned_and_needs_no_pump() -> None:
    connection = Connection()
    rig = CallRig(connection)
    outcome = rig.call.run()
    assert connection.sent == b"POST / HTTP/1.1\r\n\r\n{}"
    connection.answer(b'{"a":1}')
    answer = await outcome
    assert answer is not None
    assert (answer.status, answer.kind, answer.body) == (200, b"application/json", b'{"a":1}')
    assert (rig.call.pump, rig.pool.released, len(rig.ticker)) == (None, [connection], 0)


async def test_a_plain_answer_in_many_reads_is_collected() -> None:
    connection = Connection()
    rig = CallRig(connection)
    outcome = rig.call.run()
    connection.head(JSON, (b"Content-Length", b"7"))
    connection.body(b'{"a"', b":1}")
    assert rig.budget.used == 7
    connection.end()
    answer = await outcome
    rig.call.finish()
    assert answer is not None
    assert (answer.body, rig.budget.used, rig.client.writes) == (b'{"a":1}', 0, [])


async def test_an_answer_without_body_ends_with_its_head() -> None:
    connection = Connection()
    rig = CallRig(connection)
    rig.upstream_request.no_body = True
    outcome = rig.call.run()
    connection.head(JSON, (b"Content-Length", b"7"))
    connection.end()
    answer = await outcome
    assert answer is not None
    assert answer.body == b""


async def test_a_dead_kept_alive_connection_is_replaced_once() -> None:
    dead, fresh = Connection(uses=1), Connection()
    rig = CallRig(dead)
    rig.pool.fresh = [fresh]
    outcome = rig.call.run()
    rig.call.broken(ConnectionBroken(BROKEN))
    await until(lambda: fresh.sent != b"", "the second request")
    assert (dead.aborted, rig.counters.possible_double_executions) == (True, 1)
    fresh.answer(b"{}")
    assert await outcome is not None
    assert not rig.call.unsent


async def test_a_request_that_cannot_be_sent_again_counts_as_unsent() -> None:
    rig = CallRig(Connection(uses=1))
    outcome = rig.call.run()
    rig.call.broken(ConnectionBroken(BROKEN))
    with pytest.raises(ConnectFailed):
        await outcome
    rig.call.finish()
    assert rig.call.sent_at is not None
    assert rig.call.unsent


async def test_a_request_whose_body_was_cut_short_is_unsent() -> None:
    never = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        await never.wait()

    connection = Connection()
    rig = CallRig(connection, upload=pieces())
    running = asyncio.ensure_future(rig.call.run())
    await until(lambda: b"half" in connection.sent, "the first half")
    rig.call.client_gone()
    with pytest.raises(ClientGone):
        await running
    assert rig.call.unsent


@pytest.mark.parametrize(
    ("uses", "replayable", "begun"), [(0, True, False), (1, False, False), (1, True, True)], ids=str
)
async def test_no_request_is_sent_again_that_may_have_run(uses: int, replayable: bool, begun: bool) -> None:
    rig = CallRig(Connection(uses), replayable=replayable)
    outcome = rig.call.run()
    fault = ConnectionBroken(BROKEN)
    fault.response_begun = begun
    rig.call.broken(fault)
    with pytest.raises(ConnectionBroken):
        await outcome


async def test_a_connection_that_cannot_be_opened_is_raised() -> None:
    rig = CallRig()
    with pytest.raises(ConnectFailed):
        await rig.call.run()
    rig.call.finish()


async def test_nothing_is_sent_for_a_client_that_disconnected() -> None:
    connection = Connection()
    rig = CallRig(connection)
    rig.request.gone = True
    with pytest.raises(ClientGone):
        rig.call.run()
    assert connection.sent == b""


async def test_an_interrupt_closes_the_connection_and_is_raised() -> None:
    connection = Connection()
    rig = CallRig(connection)
    outcome = rig.call.run()
    reason = ShuttingDown("Request cancelled: server is shutting down")
    rig.call.interrupt(reason)
    with pytest.raises(ShuttingDown):
        await outcome
    rig.call.finish()
    assert (connection.aborted, len(rig.ticker)) == (True, 0)


async def test_a_stream_goes_to_the_outlet_and_the_outcome_is_none() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    connection.head(EVENTS)
    connection.body(CONTENT, FINISHED, DONE)
    connection.end()
    assert await outcome is None
    rig.call.finish()
    assert (rig.body, rig.exchange.outcome, rig.commits) == (CONTENT + FINISHED + DONE, "ok", 1)
    assert rig.exchange.usage is not None
    assert (rig.pool.released, len(rig.ticker), rig.upstream_request.body) == ([connection], 0, ())


async def test_a_stream_that_breaks_after_its_commit_ends_with_an_error() -> None:
    connection = Connection(uses=1)
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    connection.head(EVENTS)
    connection.body(CONTENT)
    rig.call.broken(ConnectionBroken(BROKEN))
    assert await outcome is None
    assert (rig.exchange.outcome, rig.exchange.error) == ("broken", "upstream_disconnected")
    assert rig.body.startswith(CONTENT)
    assert BROKEN.encode() in rig.body


async def test_a_client_that_disconnects_ends_the_call() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    connection.head(EVENTS)
    connection.body(CONTENT)
    rig.call.client_gone()
    with pytest.raises(ClientGone):
        await outcome
    assert connection.aborted


async def test_a_client_that_disconnects_after_the_terminal_event_ends_it_well() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    connection.head(EVENTS)
    connection.body(CONTENT, FINISHED, DONE)
    rig.call.client_gone()
    assert await outcome is None
    assert rig.exchange.outcome == "ok"


@pytest.mark.parametrize("last", ["usage", "nothing", "break"])
async def test_a_client_that_disconnects_before_the_usage_of_a_whole_answer_has_it_counted(last: str) -> None:
    """The model has written everything, so nothing is saved by not reading on."""
    connection = Connection()
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    _, content, finish, counts, done = chat_events("Hi", usage=USAGE)
    connection.head(EVENTS)
    connection.body(content, finish)
    rig.call.client_gone()
    assert not connection.aborted
    if last == "usage":
        connection.body(counts, done)
        connection.end()
    elif last == "break":
        rig.call.broken(ConnectionBroken(BROKEN))
    else:
        rig.call.interrupt(ClockExpired("total", 5.0))
    assert await outcome is None
    rig.call.finish()
    assert rig.exchange.outcome == "ok"
    assert (rig.exchange.usage is not None) == (last == "usage")
    assert rig.body == content + finish


async def test_with_drain_the_answer_is_read_on_for_its_usage() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True, on_disconnect="drain")
    outcome = rig.call.run()
    connection.head(EVENTS)
    connection.body(CONTENT)
    rig.call.client_gone()
    assert not connection.aborted
    connection.body(FINISHED, DONE)
    connection.end()
    with pytest.raises(ClientGone):
        await outcome
    rig.call.finish()
    assert rig.body == CONTENT
    assert rig.exchange.usage is not None


async def test_a_slow_client_pauses_the_provider() -> None:
    connection = Connection()
    rig = CallRig(connection, stream=True)
    outcome = rig.call.run()
    connection.head(EVENTS)
    rig.call.pause()
    assert connection.paused
    rig.call.resume()
    assert not connection.paused
    rig.call.interrupt(None)
    assert await outcome is None
    rig.call.finish()


async def test_a_large_body_is_sent_in_a_task_beside_the_answer() -> None:
    connection = Connection()
    rig = CallRig(connection, body=b"x" * (BIG_BODY + 1))
    outcome = rig.call.run()
    assert connection.sending
    await until(lambda: not connection.sending, "the upload")
    assert connection.sent.endswith(b"x" * (BIG_BODY + 1))
    connection.answer(b"{}")
    assert await outcome is not None
    rig.call.finish()
    assert rig.upstream_request.body == ()


async def test_an_upload_that_fails_ends_the_call_with_its_reason() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        raise GatewayError("The request's body is invalid.", status=400)

    connection = Connection()
    rig = CallRig(connection, upload=pieces())
    with pytest.raises(GatewayError, match="body is invalid"):
        await rig.call.run()
    assert (connection.aborted, connection.sending) == (True, True)


async def test_the_outcome_waits_for_an_upload_to_release_the_clients_body() -> None:
    released = False

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal released
        try:
            yield b"a"
            await asyncio.Event().wait()
        finally:
            released = True

    connection = Connection()
    rig = CallRig(connection, upload=pieces())
    call = asyncio.ensure_future(rig.call.run())
    await until(lambda: connection.sent.endswith(b"a"), "the first piece")
    connection.answer(b"{}")
    assert await call is not None
    assert released
