"""POSTs over real sockets."""

from __future__ import annotations

import ssl

import pytest

from proxy.events.sender import NoAnswer, WebhookAnswer, WebhookSender
from tests.events.tools import no_tls_at_all
from tests.support import Authority, Headers, Reset, Stall, Upstream, json_answer
from tests.support.clock import MIDNIGHT
from tests.support.ports import free_port


def sender(
    environ: dict[str, str] | None = None, tls: ssl.SSLContext | None = None, seconds: float = 30
) -> WebhookSender:
    return WebhookSender(environ or {}, no_tls_at_all if tls is None else lambda: tls, lambda: MIDNIGHT, seconds)


async def test_a_body_and_its_headers_arrive_as_they_are() -> None:
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}, 202))
        answer = await sender()(receiver.origin + "/hook?key=a%2Fb", {"webhook-id": "evt_1"}, b'{"a": 1}')
        request = await receiver.request(0)
    assert answer == WebhookAnswer(202, None)
    assert (request.method, request.target, bytes(request.body)) == ("POST", "/hook?key=a%2Fb", b'{"a": 1}')
    assert (request.header("webhook-id"), request.header("user-agent")) == ("evt_1", "sluice")


async def test_a_redirect_is_not_followed() -> None:
    async with Upstream() as receiver, Upstream() as elsewhere:
        receiver.on(lambda request: json_answer({}, 307, [("Location", elsewhere.origin + "/")]))
        assert (await sender()(receiver.origin, {}, b"{}")).status == 307
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Wed, 15 Nov 2023 00:05:00 GMT", 300.0),
        ("Tue, 14 Nov 2023 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
async def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}, 503, [("Retry-After", text)]))
        assert (await sender()(receiver.origin, {}, b"{}")).retry_after == seconds


async def test_a_receiver_that_does_not_answer() -> None:
    async with Upstream() as receiver:
        receiver.on(lambda request: [Stall()])
        with pytest.raises(NoAnswer, match=r"no answer within 0\.05 s"):
            await sender(seconds=0.05)(receiver.origin, {}, b"{}")


async def test_a_receiver_that_is_not_there_or_breaks_off() -> None:
    with pytest.raises(NoAnswer, match="Connect") as refused:
        await sender()(f"http://127.0.0.1:{free_port()}/secret", {}, b"{}")
    assert "secret" not in str(refused.value)
    async with Upstream() as receiver:
        receiver.on(lambda request: [Reset()])
        with pytest.raises(NoAnswer):
            await sender()(receiver.origin, {}, b"{}")


async def test_the_certificate_is_verified(authority: Authority) -> None:
    async with Upstream(tls=authority.server_context()) as receiver:
        receiver.on(lambda request: json_answer({}))
        address = f"https://localhost:{receiver.port}/"
        assert (await sender(tls=authority.client_context())(address, {}, b"{}")).status == 200
        with pytest.raises(NoAnswer, match="TLS failed"):
            await sender(tls=Authority().client_context())(address, {}, b"{}")
        receiver.mistakes.clear()  # the failed handshake


async def test_the_forward_proxy_of_the_environment_is_used() -> None:
    async with Upstream() as way:
        way.on(lambda request: json_answer({}))
        await sender({"HTTP_PROXY": way.origin})("http://receiver.test/hook", {}, b"{}")
        assert way.requests[0].target == "http://receiver.test/hook"
    with pytest.raises(NoAnswer, match="HTTP_PROXY"):
        await sender({"HTTP_PROXY": "ftp://nowhere"})("http://receiver.test/hook", {}, b"{}")


async def test_nothing_of_the_answers_body_is_waited_for() -> None:
    async with Upstream() as receiver:
        receiver.on(lambda request: [Headers(200, [("Content-Length", "1000000")]), Stall()])
        assert (await sender()(receiver.origin, {}, b"{}")).status == 200
