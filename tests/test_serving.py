"""The wrapper of every request: dispatch to handlers, rejections, and exceptions."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.config.schema import ServerSettings as Settings
from proxy.errors import ClientFault, ClientGone, GatewayError, ShuttingDown
from proxy.observe.log import Log
from proxy.responder import refuse
from proxy.server.outlet import Outlet
from proxy.server.reply import Reply
from proxy.server.request import Request
from proxy.serving import Handler, Serving
from tests.support import until, within


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True


class FakeRequest:
    """As much of a request as the wrapper looks at. ``interrupt`` cancels the task that handles it."""

    def __init__(self, path: str = "/api", method: str = "GET", upgrade: bool = False, **headers: str) -> None:
        self.wire = Wire()
        self.reply = Reply(self.wire, http10=False, head_only=False, keep_alive=True)
        self.path, self.query, self.method, self.upgrade = path, "", method, upgrade
        self.headers = CIMultiDictProxy(CIMultiDict({"Host": "localhost"} | headers))
        self.http11 = self.rare = True
        self.gone = self.writing_paused = False
        self.ended_by: BaseException | None = None
        self.response_lines = b""
        self.task: asyncio.Task[None] | None = None

    def interrupt(self, reason: BaseException) -> None:
        assert self.task is not None
        self.ended_by = reason
        self.task.cancel()

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def error(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.wire.written.partition(b"\r\n\r\n")[2])["error"])


class Simple(Handler[FakeRequest]):
    """Answers with its name, or runs ``act``; records how each request ended."""

    def __init__(
        self,
        prefix: str = "/",
        *,
        act: Callable[[FakeRequest], Awaitable[None]] | None = None,
        bounded: bool = True,
        cross_origin: bool = True,
    ) -> None:
        self._prefix = prefix
        self._act = act
        self.bounded = bounded  # type: ignore[misc]
        self.cross_origin = cross_origin  # type: ignore[misc]
        self.ends: list[str] = []
        self.settled = 0

    def begin(self, request: Request) -> FakeRequest | None:
        return cast("FakeRequest", request) if request.path.startswith(self._prefix) else None

    async def answer(self, request: FakeRequest) -> None:
        if self._act is not None:
            await self._act(request)
        request.reply.send(200, request.response_lines, self._prefix.encode())

    def outlet(self, request: FakeRequest) -> Outlet:
        return request.reply

    def refuse(self, request: FakeRequest, fault: GatewayError) -> None:
        self.ends.append(fault.code or fault.kind)
        refuse(request.reply, fault, request.response_lines)

    def abandon(self, request: FakeRequest, outcome: Literal["client_gone", "cancelled"]) -> None:
        self.ends.append(outcome)

    def settle(self, request: FakeRequest) -> None:
        self.settled += 1

    def log_fields(self, request: FakeRequest) -> dict[str, str]:
        return {"path": request.path}


class Fixture:
    def __init__(self, *handlers: Handler[Any], most: int = 10, **settings: Any) -> None:
        self.written = io.BytesIO()
        self.log = Log(self.written, "info", readable=False)
        self.reported: list[BaseException] = []
        self.rejected: list[str] = []
        self.serving = Serving(
            Settings(max_in_flight=most, **settings),
            handlers,
            self.log,
            reject=self.rejected.append,
            pseudonym="sluice-1",
            report=lambda error, request_id: self.reported.append(error),
        )

    def start(self, request: FakeRequest, **options: Any) -> asyncio.Task[None]:
        request.task = asyncio.ensure_future(self.serving.handle(cast("Request", request), **options))
        return request.task

    async def handle(self, request: FakeRequest, **options: Any) -> FakeRequest:
        await within(self.start(request, **options), "the request to be handled")
        return request

    @property
    def lines(self) -> list[dict[str, Any]]:
        self.log.flush()
        return [json.loads(line) for line in self.written.getvalue().splitlines()]


def raising(error: BaseException) -> Callable[[FakeRequest], Awaitable[None]]:
    async def act(request: FakeRequest) -> None:
        raise error

    return act


# -- which handler ----------------------------------------------------------------------------------------------


async def test_the_first_handler_that_accepts_a_path_serves_it() -> None:
    admin, api = Simple("/admin"), Simple("/")
    fixture = Fixture(admin, api)
    assert (await fixture.handle(FakeRequest("/admin/x"))).wire.written.endswith(b"/admin")
    assert (await fixture.handle(FakeRequest("/v1/x"))).wire.written.endswith(b"\r\n/")
    assert (admin.settled, api.settled) == (1, 1)


async def test_an_exact_path_belongs_to_its_handler_whatever_an_earlier_one_takes() -> None:
    services, api = Simple("/v1"), Simple("/")
    api.paths = ["/v1/x"]
    fixture = Fixture(services, api)
    assert (await fixture.handle(FakeRequest("/v1/x"))).wire.written.endswith(b"\r\n/")
    assert (await fixture.handle(FakeRequest("/v1/y"))).wire.written.endswith(b"/v1")


async def test_internal_requests_are_not_checked_again() -> None:
    handler = Simple()
    request = FakeRequest(Host="elsewhere.example")
    request.response_lines = b"x-made: 1\r\n"
    await Fixture().handle(request, begun=(handler, request))
    assert request.status == 200
    assert b"x-made: 1\r\n" in request.wire.written


# -- refused before the handler -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (FakeRequest(Host="elsewhere.example"), 421, "host_not_allowed"),
        (FakeRequest(Origin="https://elsewhere.example"), 403, "origin_not_allowed"),
        (FakeRequest(method="CONNECT"), 405, "method_not_allowed"),
        (FakeRequest(upgrade=True, Upgrade="websocket"), 501, "no_websocket"),
        (FakeRequest("/v1/responses", upgrade=True, Upgrade="websocket"), 426, "no_websocket"),
        (FakeRequest(Via="1.1 sluice-1"), 508, "gateway_loop"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_rejected_requests_never_reach_the_handler(request_: FakeRequest, status: int, code: str) -> None:
    handler = Simple(act=raising(AssertionError("it was called")))
    await Fixture(handler).handle(request_)
    assert (request_.status, request_.error["code"], handler.ends, handler.settled) == (status, code, [code], 1)


async def test_other_upgrades_and_another_via_are_accepted() -> None:
    fixture = Fixture(Simple())
    assert (await fixture.handle(FakeRequest(upgrade=True, Upgrade="h2c"))).status == 200
    assert (await fixture.handle(FakeRequest(Via="1.1 sluice-2"))).status == 200


@pytest.mark.parametrize(("cross_origin", "status"), [(True, 204), (False, 200)])
async def test_a_preflight_is_answered_for_handlers_with_cors_only(cross_origin: bool, status: int) -> None:
    handler = Simple(cross_origin=cross_origin)
    fixture = Fixture(handler, cors_origins=["https://app.example"])
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    request = await fixture.handle(FakeRequest(method="OPTIONS", **headers))
    assert (request.status, handler.settled) == (status, 1)


async def test_rejections_have_cors_headers() -> None:
    handler = Simple(act=raising(ClientFault("No.", code="no")))
    fixture = Fixture(handler, cors_origins=["https://app.example"])
    request = await fixture.handle(FakeRequest(Origin="https://app.example"))
    assert b"Access-Control-Allow-Origin: https://app.example\r\n" in request.wire.written


# -- how many run ---------------------------------------------------------------------------------------------------


async def test_requests_over_the_limit_are_rejected_and_uncounted_handlers_are_exempt() -> None:
    go = asyncio.Event()

    async def wait(request: FakeRequest) -> None:
        await go.wait()

    fixture = Fixture(Simple("/page", bounded=False), Simple(act=wait), most=1)
    first = FakeRequest()
    running = fixture.start(first)
    await until(lambda: fixture.serving.running == 1, "the first to run")
    second = await fixture.handle(FakeRequest())
    assert (second.status, second.error["code"], second.error["message"]) == (
        503,
        "overloaded",
        "Too many concurrent requests (limit 1).",
    )
    assert (await fixture.handle(FakeRequest("/page"))).status == 200
    go.set()
    await running
    assert (first.status, fixture.serving.running) == (200, 0)


# -- what a handler raises --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (ClientFault("No.", code="no"), "no"),
        (ClientGone(), "client_gone"),
        (KeyError("secret"), "internal_error"),
    ],
)
async def test_an_exception_of_a_handler_ends_the_request_once(error: Exception, end: str) -> None:
    handler = Simple(act=raising(error))
    fixture = Fixture(handler)
    await fixture.handle(FakeRequest())
    assert (handler.ends, handler.settled, fixture.serving.running) == ([end], 1, 0)


async def test_a_defect_is_logged_and_reported_without_its_text() -> None:
    fixture = Fixture(Simple(act=raising(KeyError("secret"))))
    request = await fixture.handle(FakeRequest("/x"))
    assert (request.status, request.error["code"]) == (500, "internal_error")
    (line,) = fixture.lines
    assert (line["message"], line["path"]) == ("A request failed inside the gateway.", "/x")
    assert "secret" not in json.dumps(line)
    assert [type(error) for error in fixture.reported] == [KeyError]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_failed_rejection_is_a_plain_error_or_an_abort(begun: bool) -> None:
    class Failing(Simple):
        def refuse(self, request: FakeRequest, fault: GatewayError) -> None:
            raise KeyError("secret")

    async def act(request: FakeRequest) -> None:
        if begun:
            request.reply.begin(200, b"")
        raise ClientFault("No.")

    handler = Failing(act=act)
    request = await Fixture(handler).handle(FakeRequest())
    assert handler.settled == 1
    assert request.wire.aborted is begun
    if not begun:
        assert (request.status, request.error["code"]) == (500, "internal_error")


@pytest.mark.parametrize(
    ("reason", "end"), [(ShuttingDown("Stop."), "shutting_down"), (ClientGone(), "client_gone"), (None, "cancelled")]
)
async def test_a_cancellation_by_the_request_ends_only_the_request(reason: BaseException | None, end: str) -> None:
    async def wait(request: FakeRequest) -> None:
        await asyncio.Event().wait()

    handler = Simple(act=wait)
    fixture = Fixture(handler)
    request = FakeRequest()
    task = fixture.start(request)
    await until(lambda: fixture.serving.running == 1, "the request to run")
    if reason is None:
        task.cancel()
    else:
        request.interrupt(reason)
    await asyncio.wait([task])
    assert task.cancelled() is (reason is None)
    assert (handler.ends, handler.settled) == ([end], 1)


async def test_a_cancellation_from_outside_wins_over_one_by_the_request() -> None:
    async def wait(request: FakeRequest) -> None:
        await asyncio.Event().wait()

    handler = Simple(act=wait)
    fixture = Fixture(handler)
    request = FakeRequest()
    task = fixture.start(request)
    await until(lambda: fixture.serving.running == 1, "the request to run")
    request.interrupt(ClientGone())
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert (handler.ends, handler.settled) == (["cancelled"], 1)


async def test_a_slow_client_is_flushed_by_the_handler() -> None:
    flushed: list[FakeRequest] = []

    class Flushing(Simple):
        async def flush(self, work: FakeRequest) -> None:
            flushed.append(work)

    fixture = Fixture(Flushing())
    slow, gone = FakeRequest(), FakeRequest()
    slow.writing_paused = gone.writing_paused = gone.gone = True
    await fixture.handle(slow)
    await fixture.handle(gone)
    await fixture.handle(FakeRequest())
    assert flushed == [slow]


# -- stopping -----------------------------------------------------------------------------------------------------------


async def test_a_drain_finishes_running_requests_and_rejects_new_ones() -> None:
    go = asyncio.Event()

    async def wait(request: FakeRequest) -> None:
        await go.wait()

    fixture = Fixture(Simple("/page", bounded=False), Simple(act=wait))
    first = FakeRequest()
    running = fixture.start(first)
    await until(lambda: fixture.serving.running == 1, "the first to run")
    drained = asyncio.ensure_future(fixture.serving.drain(60))
    await until(lambda: fixture.serving.stopping, "the drain to begin")
    second = await fixture.handle(FakeRequest())
    assert (second.status, second.error["code"], second.reply.keep_alive) == (503, "shutting_down", False)
    assert (await fixture.handle(FakeRequest("/page"))).status == 200
    go.set()
    await within(drained, "the drain to end")
    await running
    assert first.status == 200


async def test_until_the_drain_a_stop_serves_requests_and_only_ends_their_connections() -> None:
    fixture = Fixture(Simple("/page", bounded=False), Simple(), most=1)
    fixture.serving.announce_stop()
    assert fixture.serving.stopping
    served = await fixture.handle(FakeRequest())
    assert (served.status, served.reply.keep_alive) == (200, False)
    await within(fixture.serving.drain(60), "the drain to end")
    refused = await fixture.handle(FakeRequest())
    assert (refused.status, refused.error["code"]) == (503, "shutting_down")


async def test_in_the_shutdown_delay_the_number_of_requests_is_still_limited() -> None:
    go = asyncio.Event()

    async def wait(request: FakeRequest) -> None:
        await go.wait()

    fixture = Fixture(Simple(act=wait), most=1)
    running = fixture.start(FakeRequest())
    await until(lambda: fixture.serving.running == 1, "the first to run")
    fixture.serving.announce_stop()
    refused = await fixture.handle(FakeRequest())
    assert (refused.status, refused.error["message"]) == (503, "Too many concurrent requests (limit 1).")
    go.set()
    await running
    assert fixture.serving.running == 0


async def test_a_drain_waits_for_requests_that_began_in_the_shutdown_delay() -> None:
    go = asyncio.Event()

    async def wait(request: FakeRequest) -> None:
        await go.wait()

    fixture = Fixture(Simple("/page"), Simple(act=wait))
    fixture.serving.announce_stop()
    await fixture.handle(FakeRequest("/page"))  # after it nothing runs
    request = FakeRequest()
    running = fixture.start(request)
    await until(lambda: fixture.serving.running == 1, "the request to run")
    drained = asyncio.ensure_future(fixture.serving.drain(60))
    await asyncio.sleep(0)
    assert not drained.done()
    go.set()
    await within(drained, "the drain to end")
    await running
    assert request.status == 200


async def test_after_the_drain_requests_are_interrupted() -> None:
    async def wait(request: FakeRequest) -> None:
        await asyncio.Event().wait()

    handler = Simple(act=wait)
    fixture = Fixture(handler)
    request = FakeRequest()
    fixture.start(request)
    await until(lambda: fixture.serving.running == 1, "the request to run")
    await within(fixture.serving.drain(0), "the drain to end")
    assert (request.status, handler.ends) == (503, ["shutting_down"])
    assert b"Request cancelled: server is shutting down" in request.wire.written


async def test_requests_that_ignore_cancellation_do_not_delay_the_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.serving.END_SECS", 0.01)
    go = asyncio.Event()

    async def stubborn(request: FakeRequest) -> None:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    fixture = Fixture(Simple(act=stubborn))
    task = fixture.start(FakeRequest())
    await until(lambda: fixture.serving.running == 1, "the request to run")
    await within(fixture.serving.drain(0), "the drain to end")
    assert [line["requests"] for line in fixture.lines] == [1]
    go.set()
    await within(asyncio.wait([task]), "the request to end")


# -- bytes that are no request --------------------------------------------------------------------------------------------


def test_malformed_requests_get_a_response_and_are_counted() -> None:
    wire = Wire()
    fixture = Fixture()
    reply = Reply(wire, http10=False, head_only=False, keep_alive=False)
    fixture.serving.refuse_bytes(reply, ClientFault("Bad.", code="malformed_request"))
    assert (reply.status, fixture.rejected) == (400, ["malformed_request"])
