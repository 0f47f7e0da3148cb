"""Attempts of one request: which addresses get it, and what the client gets of failures."""

from __future__ import annotations

import asyncio

import pytest

from proxy.config.service_schema import HeaderRules, RouteRetries, RouteSettings, ServiceSettings
from proxy.errors import (
    ClientGone,
    ClockExpired,
    ConnectFailed,
    ConnectionBroken,
    GatewayError,
    Overloaded,
    ShuttingDown,
)
from proxy.services.relay.retries import ALWAYS
from proxy.services.relay.route_rules import RouteRules
from proxy.services.table.route import ServiceRoute
from tests.services.relay.rig import OK, VIA, Line, RelayRig
from tests.support import until

HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"


async def asked(rig: RelayRig, before: Line | None = None) -> Line:
    """The line with the request, once it has one other than ``before``."""

    def found() -> list[Line]:
        lines = (*rig.lines.values(), *rig.pool.opened)
        return [line for line in lines if line.connection.sink is not None and line is not before]

    await until(found, "another line with the request")
    return found()[0]


async def test_a_reset_before_the_head_goes_to_another_address() -> None:
    rig = RelayRig("a", "b")
    rig.relayed.run()
    first = rig.asked
    first.connection.uses = 1  # it was new
    first.close(ConnectionResetError())
    second = await asked(rig, first)
    second.read(HELLO)
    assert await rig.over() is None
    assert rig.answer.endswith(b"hello")
    assert [attempt.failure for attempt in rig.exchange.attempts] == ["upstream_disconnected", ""]
    assert len({attempt.url for attempt in rig.exchange.attempts}) == 2
    assert sorted((each.failures, each.in_flight, each.requests) for each in rig.addresses) == [(0, 0, 1), (1, 0, 1)]


async def test_a_post_that_was_sent_is_never_sent_again() -> None:
    rig = RelayRig("a", "b", method="POST")
    rig.relayed.run()
    rig.asked.close(ConnectionResetError())
    assert isinstance(await rig.over(), ConnectionBroken)
    assert len(rig.exchange.attempts) == 1


async def test_a_post_that_was_not_sent_goes_to_another_address() -> None:
    rig = RelayRig("a", "b", method="POST")
    rig.pool.idle, rig.pool.down = {}, {"a"}
    for _ in rig.addresses:  # whichever is first
        rig.relayed.run()
        (await asked(rig)).read(HELLO)
        assert await rig.over() is None
    assert {attempt.failure for attempt in rig.exchange.attempts} == {"", "upstream_unreachable"}
    assert rig.answer.count(b"hello") == 2


async def test_a_kept_alive_connection_that_died_is_replaced_once_for_free() -> None:
    rig = RelayRig("a", retries=RouteRetries(attempts=0))
    rig.relayed.run()
    dead = rig.asked
    dead.close()
    fresh = await asked(rig, dead)
    assert fresh.sent == b"GET /x HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"
    fresh.read(HELLO)
    assert await rig.over() is None
    assert (len(rig.exchange.attempts), rig.addresses[0].failures, rig.addresses[0].requests) == (1, 0, 1)


async def test_the_replacement_is_not_replaced() -> None:
    rig = RelayRig("a", retries=RouteRetries(attempts=0))
    rig.relayed.run()
    rig.asked.close()
    (await asked(rig)).close()
    assert isinstance(await rig.over(), ConnectionBroken)
    assert rig.addresses[0].failures == 1


async def test_bytes_of_an_answer_are_the_end_of_repeats_on_the_same_connection() -> None:
    rig = RelayRig("a", retries=RouteRetries(attempts=0))
    rig.relayed.run()
    rig.asked.read(b"HTTP/1.1 2")
    rig.lines["a"].close()
    assert isinstance(await rig.over(), ConnectionBroken)
    assert rig.pool.opened == []


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_status_sends_the_request_to_another_address(status: int) -> None:
    rig = RelayRig("a", "b")
    rig.relayed.run()
    first = rig.asked
    first.read(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
    (await asked(rig, first)).read(HELLO)
    assert await rig.over() is None
    assert rig.answer.startswith(OK)
    assert [attempt.status for attempt in rig.exchange.attempts] == [status, 200]
    assert sum(each.failures for each in rig.addresses) == 1


async def test_a_status_that_is_listed_and_no_failure_counts_as_success() -> None:
    rig = RelayRig("a", "b", retries=RouteRetries(statuses=[429]))
    rig.relayed.run()
    first = rig.asked
    first.read(b"HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n")
    (await asked(rig, first)).read(HELLO)
    await rig.over()
    assert sum(each.failures for each in rig.addresses) == 0


async def test_the_last_address_answers_as_it_likes() -> None:
    rig = RelayRig("a", "b")
    rig.relayed.run()
    first = rig.asked
    first.read(BUSY)
    (await asked(rig, first)).read(BUSY)
    assert await rig.over() is None
    assert rig.answer.startswith(b"HTTP/1.1 503")
    assert rig.answer.endswith(b"busy")
    assert [each.failures for each in rig.addresses] == [1, 1]


async def test_a_post_gets_the_status_as_it_is() -> None:
    rig = RelayRig("a", "b", method="POST")
    rig.relayed.run()
    rig.asked.read(BUSY)
    assert await rig.over() is None
    assert rig.answer.endswith(b"busy")


async def test_the_number_of_attempts_is_bounded() -> None:
    rig = RelayRig("a", "b", "c", "d", retries=RouteRetries(attempts=2))
    rig.pool.idle, rig.pool.down = {}, {"a", "b", "c", "d"}
    rig.relayed.run()
    assert isinstance(await rig.over(), ConnectFailed)
    assert len({attempt.url for attempt in rig.exchange.attempts}) == 3


async def test_the_same_address_is_tried_again_after_a_pause() -> None:
    rig = RelayRig("a")
    rig.relayed.run()
    first = rig.asked
    first.connection.uses = 1
    first.close(ConnectionResetError())
    (await asked(rig, first)).read(HELLO)
    assert await rig.over() is None
    assert len(rig.exchange.attempts) == 2


async def test_retries_have_a_budget() -> None:
    rig = RelayRig("a", "b", retries=RouteRetries(percent=20))
    for _ in range(ALWAYS):
        assert rig.retries.take(rig.service, 20)
    rig.relayed.run()
    first = rig.asked
    first.connection.uses = 1
    first.close(ConnectionResetError())
    assert isinstance(await rig.over(), ConnectionBroken)


async def test_what_never_reached_a_service_needs_no_budget() -> None:
    rig = RelayRig("a", "b")
    for _ in range(ALWAYS):
        rig.retries.take(rig.service, 20)
    rig.pool.idle, rig.pool.down = {}, {"a", "b"}
    rig.relayed.run()
    await rig.over()
    assert len(rig.exchange.attempts) == 3


async def test_a_retry_gives_its_place_back() -> None:
    rig = RelayRig("a", "b")
    rig.relayed.run()
    first = rig.asked
    first.read(BUSY)
    assert rig.retries._running["s"] == 1
    (await asked(rig, first)).read(HELLO)
    await rig.over()
    assert not rig.retries._running


async def test_an_answer_that_has_begun_is_not_tried_elsewhere() -> None:
    rig = RelayRig("a", "b")
    rig.relayed.run()
    line = rig.asked
    line.read(OK + b"Content-Length: 5\r\n\r\n")
    line.close(ConnectionResetError())
    assert isinstance(await rig.over(), ConnectionBroken)
    assert len(rig.exchange.attempts) == 1


async def test_a_service_without_a_usable_address_is_unavailable() -> None:
    rig = RelayRig("a")
    rig.addresses[0].breaker.trip(rig.loop.time(), "test")
    with pytest.raises(Overloaded) as found:
        rig.relayed.run()
    assert (found.value.status, found.value.code) == (503, "no_address")
    rig.relayed.finish()


async def test_failures_open_the_breaker_of_the_address() -> None:
    rig = RelayRig("a", retries=RouteRetries(attempts=0))
    breaker = rig.addresses[0].breaker
    for _ in range(breaker.policy.failure_threshold):
        rig.pool.idle, rig.pool.down = {}, {"a"}
        rig.relayed.run()
        assert isinstance(await rig.over(), ConnectFailed)
    assert breaker.state == "open"


async def test_a_url_that_is_not_usable_is_passed_over() -> None:
    rig = RelayRig("a", "user@b")
    for _ in range(2):
        rig.pool.idle = {}
        rig.relayed.run()
        (await asked(rig)).read(HELLO)
        assert await rig.over() is None
    assert {attempt.url for attempt in rig.exchange.attempts} == {"http://a"}


async def test_a_clock_that_runs_out_before_the_head_sends_the_request_elsewhere() -> None:
    rig = RelayRig("a", "b")
    rig.relayed.run()
    first, call = rig.asked, rig.relayed._call
    assert call is not None
    call.fail(ClockExpired("headers", 60.0))
    assert first.wire.aborted
    (await asked(rig, first)).read(HELLO)
    assert await rig.over() is None
    assert rig.exchange.attempts[0].failure == "timeout_headers"


async def test_a_clock_that_runs_out_within_the_answer_ends_it() -> None:
    rig = RelayRig("a", "b")
    rig.relayed.run()
    rig.asked.read(OK + b"Content-Length: 5\r\n\r\nh")
    assert rig.relayed._call is not None
    rig.relayed._call.fail(ClockExpired("idle", 60.0))
    assert isinstance(await rig.over(), ClockExpired)


@pytest.mark.parametrize("reason", [ShuttingDown("stop"), None])
async def test_an_interrupt_ends_the_request_without_a_verdict(reason: GatewayError | None) -> None:
    rig = RelayRig("a")
    rig.relayed.run()
    rig.relayed.interrupt(reason)
    error = await rig.over()
    assert error is reason if reason is not None else isinstance(error, ClientGone)
    assert (rig.addresses[0].failures, rig.addresses[0].in_flight) == (0, 0)


async def test_an_interrupt_ends_a_dial_and_a_pause() -> None:
    rig = RelayRig("a")
    rig.pool.idle = {}
    rig.relayed.run()
    rig.relayed.interrupt(None)
    assert isinstance(await rig.over(), ClientGone)
    await asyncio.sleep(0)
    assert rig.pool.opened == []
    rig = RelayRig("a")
    rig.pool.idle, rig.pool.down = {}, {"a"}
    rig.relayed.run()
    await until(lambda: rig.relayed._pause is not None, "the pause before the next attempt")
    rig.relayed.interrupt(None)
    assert isinstance(await rig.over(), ClientGone)
    assert len(rig.exchange.attempts) == 1


async def test_a_client_that_has_left_gets_no_attempt() -> None:
    rig = RelayRig("a")
    rig.request.gone = True
    with pytest.raises(ClientGone):
        rig.relayed.run()


async def test_rules_change_the_lines_of_an_answer() -> None:
    rig = RelayRig("a")
    rules = HeaderRules(remove=["Server"], add={"X-New": "1"})
    route = ServiceRoute.of("r", RouteSettings(path="/", service="s", response_headers=rules), "file", (0, ""))
    rig.relayed.rules = RouteRules.of(route, credentials=True)
    rig.relayed.run()
    rig.asked.read(OK + b"Server: s\r\nA: b\r\nContent-Length: 0\r\n\r\n")
    lines = VIA + b"X-New: 1\r\n"
    assert rig.answer == OK + b"A: b\r\n" + lines + b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize("line", [b"", b"access-control-allow-origin: *\r\n"])
async def test_cors_in_an_answer_is_the_services_own(line: bytes) -> None:
    rig = RelayRig("a")
    rig.request.response_lines = b"Access-Control-Allow-Origin: x\r\n"
    rig.relayed.run()
    rig.asked.read(OK + line + b"Content-Length: 0\r\n\r\n")
    assert rig.answer == OK + line + VIA + b"Content-Length: 0\r\n\r\n"


async def test_the_host_of_the_client_goes_on_if_it_shall() -> None:
    rig = RelayRig("a", service=ServiceSettings(preserve_host=True))
    rig.relayed.run()
    assert rig.asked.sent.startswith(b"GET /x HTTP/1.1\r\nHost: gateway\r\n")
    rig.relayed.finish()
