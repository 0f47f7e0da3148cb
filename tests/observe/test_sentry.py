"""Errors as Sentry gets them, over a real socket."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import pytest
from aiohttp import web

from proxy.config.observe_schema import SentrySettings as Settings
from proxy.errors import ConfigError
from proxy.observe import sentry as module
from proxy.observe.sentry import EVERY, MOST_PLACES, Sentry, opened
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream

# The lines of the source go out, so none of them may hold these whole.
SECRET, KEY, CREDENTIAL = ("-".join(["hidden", word]) for word in ("prompt", "key", "credential"))


class Server:
    """Takes envelopes (https://develop.sentry.dev/sdk/data-model/envelopes/)."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.raw = b""
        self.hold: asyncio.Event | None = None

    async def __aenter__(self) -> Server:
        self._runner = web.ServerRunner(web.Server(self._take), shutdown_timeout=0.1)  # type: ignore[arg-type]
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self._runner.addresses[0][1]}/1"

    async def _take(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if self.hold is not None:
            await self.hold.wait()
        self.raw += body
        _, *items = body.splitlines()
        for head, payload in zip(items[::2], items[1::2], strict=True):
            if json.loads(head)["type"] == "event":
                self.events.append(json.loads(payload))
        return web.json_response({})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as server:
        yield server


@asynccontextmanager
async def reporting(server: Server, clock: FakeClock | None = None) -> AsyncIterator[Sentry]:
    sentry = opened(Settings(dsn=server.dsn, environment="a-test"), {}, version="1.2.3")
    if clock is not None:
        sentry._now = clock.now
    try:
        yield sentry
    finally:
        await sentry.close()


def error(text: str = SECRET) -> Exception:
    try:
        try:
            raise KeyError(text)
        except KeyError as cause:
            local = {"authorization": text}
            raise ValueError(f"cannot read {local}") from cause
    except ValueError as found:
        found.add_note(text)
        return found


def other() -> Exception:
    try:
        raise ValueError("elsewhere")
    except ValueError as found:
        return found


async def test_a_report_names_type_place_and_request_and_quotes_nothing(server: Server) -> None:
    async with reporting(server) as sentry:
        sentry.report(error(), "req-7")
    [event] = server.events
    values = event["exception"]["values"]
    assert [(value["type"], value["value"]) for value in values] == [("KeyError", ""), ("ValueError", "")]
    frame = values[1]["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["context_line"].strip()) == (
        "error",
        'raise ValueError(f"cannot read {local}") from cause',
    )
    assert event["tags"] == {"request_id": "req-7"}
    assert (event["release"], event["environment"]) == ("sluice@1.2.3", "a-test")
    assert not {"request", "user", "breadcrumbs", "modules", "extra"} & {key for key, value in event.items() if value}
    assert SECRET.encode() not in server.raw
    assert b"vars" not in server.raw


async def test_the_same_place_is_reported_once_a_minute_with_the_count_of_the_others(server: Server) -> None:
    clock = FakeClock()
    async with reporting(server, clock) as sentry:
        for _ in range(4):
            sentry.report(error())
        sentry.report(other())
        clock.advance(EVERY)
        sentry.report(error())
        sentry.report(other())
    assert [event["tags"] for event in server.events] == [{}, {}, {"passed_over": "3"}, {}]


async def test_the_number_of_remembered_places_is_bounded(server: Server) -> None:
    async with reporting(server, FakeClock()) as sentry:
        for number in range(3 * MOST_PLACES):
            sentry._turn(f"place {number}")
            assert len(sentry._suppressed_until) <= MOST_PLACES


async def test_logged_exceptions_are_reported_until_the_stop(server: Server) -> None:
    logger = logging.getLogger("asyncio")
    before = logging.getLogger().handlers[:]
    async with reporting(server):
        logger.error("Task exception was never retrieved", exc_info=error())
        logger.error("without an exception")
        logger.warning("not as bad", exc_info=other())
        logging.getLogger("sentry_sdk.errors").error("its own", exc_info=other())
    assert [event["exception"]["values"][-1]["type"] for event in server.events] == ["ValueError"]
    assert SECRET.encode() not in server.raw
    assert logging.getLogger().handlers == before


async def test_a_failed_report_is_only_a_warning(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(module, "_send", broken)
    async with reporting(server) as sentry:
        sentry.report(error())
    [record] = [record for record in caplog.records if record.name == "proxy.observe.sentry"]
    assert record.levelno == logging.WARNING
    assert SECRET not in record.getMessage()


async def test_the_stop_waits_a_bounded_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH", 0.05)
    server.hold = asyncio.Event()
    async with reporting(server) as sentry:
        sentry.report(error())
    server.hold.set()
    assert server.events == []


async def test_a_gateway_error_is_reported_with_the_request_id(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise LookupError(SECRET)

    async with Upstream() as up:
        source = {
            "providers": {"up": {"baseUrl": up.url, "apiKey": KEY}},
            "models": [{"name": "m", "provider": "up"}],
            "observe": {"sentry": {"dsn": server.dsn}},
        }
        async with Gateway(source) as gw:
            monkeypatch.setattr("proxy.gateway.plan_call", broken)
            client = await gw.client()
            call = {"model": "m", "messages": [{"role": "user", "content": SECRET}]}
            headers = [("X-Request-Id", "req-9"), ("Authorization", f"Bearer {CREDENTIAL}")]
            reply = await client.fetch("POST", "/v1/chat/completions", json=call, headers=headers)
            assert reply.status == 500
    [event] = server.events
    assert event["tags"] == {"request_id": "req-9"}
    assert event["exception"]["values"][-1]["type"] == "LookupError"
    for secret in (SECRET, KEY, CREDENTIAL):
        assert secret.encode() not in server.raw


# -- the library --------------------------------------------------------------------------------------


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(ConfigError) as caught:
        opened(Settings(dsn="http://public@127.0.0.1/1"), {}, version="1")
    assert caught.value.mistakes == [
        "observe.sentry: the Sentry SDK is not installed: pip install 'sluice-gateway[sentry]'"
    ]


@pytest.mark.parametrize(
    "dsn", ["secret", "http://127.0.0.1/1", "ftp://secret@127.0.0.1/1", "http://secret@127.0.0.1/x"]
)
def test_an_invalid_dsn_is_reported_without_quoting_it(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(Settings(dsn=dsn), {}, version="1")
    assert caught.value.mistakes == ["observe.sentry.dsn: is not a valid DSN"]
