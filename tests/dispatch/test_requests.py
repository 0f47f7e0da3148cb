"""Requests whose body may not be sent twice: uploads, and calls that may have run. Over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.dispatch.flows import CALL, NOWHERE, SECRET, assert_no_secrets, error_answer, fetch, good, two_providers
from tests.support import Reset, Stall, Upstream, json_answer
from tests.support.clock import FakeClock, LoopClock
from tests.support.gateway import Gateway
from tests.support.lives import at_rest, live

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nsound\r\n--b--\r\n'
)
MULTIPART = [("Content-Type", "multipart/form-data; boundary=b")]
ONE_OFF: dict[str, tuple[str, dict[str, Any]]] = {
    "image": ("/v1/images/generations", {"json": {"model": "m", "prompt": "a cat"}}),
    "speech": ("/v1/audio/speech", {"json": {"model": "m", "input": "Hi", "voice": "v"}}),
    "response": ("/v1/responses", {"json": {"model": "m", "input": "Hi"}}),
    "stored response": ("/v1/responses", {"json": {"model": "m", "input": "Hi", "store": True}}),
    "form": ("/v1/audio/transcriptions", {"body": FORM, "headers": MULTIPART}),
    "form of images": ("/v1/images/edits", {"body": FORM, "headers": MULTIPART}),
}
ANY_PATH = pytest.mark.parametrize(("path", "options"), ONE_OFF.values(), ids=ONE_OFF.keys())
JSON_AND_FORM = pytest.mark.parametrize(("path", "options"), [ONE_OFF["image"], ONE_OFF["form"]], ids=["json", "form"])


@ANY_PATH
async def test_a_request_that_may_have_run_is_not_sent_again(path: str, options: dict[str, Any]) -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: [Reset()])
        config = two_providers(first.url, second.url, "equal")
        config["routing"] = {"fallback": {"provider": "second", "model": "m"}}
        async with Gateway(config, clock=FakeClock()) as gw:
            answer = await (await gw.client()).fetch("POST", path, **options)
            assert answer.status == 502
            assert (len(first.requests), second.requests) == (1, [])
            assert live(gw, "first/m").breaker.failures == 1
            assert_no_secrets(answer)
            await at_rest(gw)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/embeddings", {"input": "Hi"}), ("/v1/responses", {"input": "Hi", "store": False})],
    ids=["endpoint", "stateless call"],
)
async def test_a_request_that_does_no_harm_twice_is_sent_again(path: str, body: dict[str, Any]) -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: [Reset()])
        second.on(lambda request: json_answer({"object": "thing"}))
        routing = {"rateLimitRetries": 0}
        async with Gateway(two_providers(first.url, second.url, "equal", routing=routing), clock=FakeClock()) as gw:
            answer = await (await gw.client()).fetch("POST", path, json=body | {"model": "m"})
            assert (answer.status, len(second.requests)) == (200, 1)
            await at_rest(gw)


@JSON_AND_FORM
async def test_a_request_of_which_no_byte_was_sent_goes_to_another_deployment(
    path: str, options: dict[str, Any]
) -> None:
    async with Upstream() as second:
        second.on(lambda request: json_answer({"object": "thing"}))
        async with Gateway(two_providers(NOWHERE, second.url, "equal"), clock=FakeClock()) as gw:
            answer = await (await gw.client()).fetch("POST", path, **options)
            assert (answer.status, len(second.requests)) == (200, 1)
            assert answer.header("x-router-errors") == "first/m=unreachable"
            assert answer.json["_router"]["attempts"] == 2
            assert b"up-m" in second.requests[0].body
            await at_rest(gw)


@pytest.mark.parametrize("status", [401, 429])
@JSON_AND_FORM
async def test_a_refused_request_did_not_run_and_is_sent_again_unless_its_body_is_gone(
    path: str, options: dict[str, Any], status: int
) -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: error_answer(status, SECRET if status == 401 else "Slow down"))
        second.on(lambda request: json_answer({"object": "thing"}))
        async with Gateway(two_providers(first.url, second.url, "equal"), clock=FakeClock()) as gw:
            answer = await (await gw.client()).fetch("POST", path, **options)
            if "json" in options:
                assert (answer.status, len(second.requests)) == (200, 1)
            else:
                assert (answer.status, second.requests) == (502 if status == 401 else 429, [])
            assert_no_secrets(answer)
            await at_rest(gw)


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_a_passthrough_request_is_never_sent_twice_even_without_a_body(method: str) -> None:
    async with Upstream() as up:
        config = {
            "providers": {"up": {"baseUrl": up.url, "passthrough": [f"{method} /files"]}},
            "models": [{"name": "m", "provider": "up"}],
            "routing": {"retryDelay": 1},
        }
        async with Gateway(config, clock=FakeClock()) as gw:
            up.on(lambda request: [Reset()])
            client = await gw.client()
            await client.request(method, "/proxy/up/files/1")
            assert (await client.read_answer()).status == 502
            assert len(up.requests) == 1


async def test_one_deadline_bounds_all_attempts() -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: [Reset()])
        second.on(lambda request: [Stall()])
        routing = {"deadlineSecs": 0.5, "rateLimitRetries": 0}
        clock = LoopClock()
        async with Gateway(two_providers(first.url, second.url, "fallback", routing=routing)) as gw:
            answering = asyncio.ensure_future(fetch(await gw.client(), CALL))
            await second.request(0)
            answer = await clock.advance_until(answering, 0.5)
            assert (answer.status, len(first.requests), len(second.requests)) == (504, 1, 1)
            assert answer.json["error"]["code"] == "timeout_deadline"
            await at_rest(gw)


async def test_stream_options_that_a_provider_refuses_are_left_out_from_then_on() -> None:
    minds = error_answer(400, "Unknown parameter: stream_options")
    async with Upstream() as up:
        up.queue(minds, good("stream"), good("stream"))
        async with Gateway(two_providers(up.url, up.url, "alone"), clock=FakeClock()) as gw:
            client = await gw.client()
            for attempts in ("2", "1"):
                answer = await fetch(client, CALL | {"stream": True})
                assert (answer.status, answer.header("x-router-attempts")) == (200, attempts)
            assert ["stream_options" in request.json for request in up] == [True, False, False]
            assert live(gw, "first/m").breaker.failures == 0
