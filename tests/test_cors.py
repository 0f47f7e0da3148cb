"""CORS in a real browser: allowed and rejected requests of other origins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from proxy.errors import ClientFault, GatewayError, Unauthorized
from proxy.responder import Responder
from proxy.server.security import page_lines
from tests.support import Chunk, Headers, LastChunk, Send, Upstream, Wait, chat_events, completion, json_answer, within
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway, one_provider

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser

STREAM = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}

# A chat front end in a nutshell: authorisation and JSON need a preflight, the answer is read as it comes.
CHAT = """
async ([url, call, credentials]) => {
    const response = await fetch(url, {
        method: "POST",
        headers: {"Authorization": "Bearer sk-any", "Content-Type": "application/json", "X-Client-Version": "1"},
        body: JSON.stringify(call),
        credentials: credentials || "same-origin",
    });
    const pieces = [];
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
        const {done, value} = await reader.read();
        if (done) break;
        pieces.push(value);
        if (window.seen) await window.seen(value);
    }
    return {status: response.status, headers: Object.fromEntries(response.headers), text: pieces.join("")};
}
"""
ASK = "([url, options]) => fetch(url, options).then(response => response.status, error => String(error))"
REFUSED = "TypeError: Failed to fetch"


@pytest_asyncio.fixture(loop_scope="module")
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[Upstream]:
    """A web site of another origin: its pages are empty."""
    html = b"<!doctype html><title>Chat</title>"
    async with Upstream() as site:
        lines = [("Content-Type", "text/html"), ("Content-Length", str(len(html)))]
        site.on(lambda request: [Headers(200, lines), Send(html)])
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, site: Upstream) -> AsyncIterator[Page]:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(origin(site))
        yield page


def origin(site: Upstream) -> str:
    return f"http://localhost:{site.port}"


@asynccontextmanager
async def gateway(up: Upstream, *origins: str) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up, server={"corsOrigins": list(origins)})) as gw:
        yield gw


def refuse_with(gw: Gateway, fault: GatewayError) -> None:
    async def refuse(responder: Responder) -> None:
        raise fault

    assert gw.app.gateway is not None
    gw.app.gateway.answer = refuse


# -- what a listed origin may -----------------------------------------------------------------------


@pytest.mark.parametrize("listed", ["the site", "*"])
async def test_a_page_streams_token_by_token(listed: str, up: Upstream, site: Upstream, page: Page) -> None:
    events = chat_events("Hello", " wörld", "!")
    seen: asyncio.Queue[str] = asyncio.Queue()

    def script(request: Any) -> Any:
        yield Headers(200, SSE_HEADERS)
        yield Chunk(events[0] + events[1])
        for event, gate in zip(events[2:], gates, strict=True):
            yield Wait(gate)
            yield Chunk(event)
        yield LastChunk()

    gates = [asyncio.Event() for _ in events[2:]]
    up.on(script)
    await page.expose_function("seen", seen.put)
    async with gateway(up, origin(site) if listed == "the site" else "*") as gw:
        answer = asyncio.ensure_future(page.evaluate(CHAT, [f"{gw.url}/v1/chat/completions", STREAM, None]))
        text = ""
        for number, gate in enumerate(gates):
            # The page has each event before the provider sends the next one.
            while text != b"".join(events[: number + 2]).decode():
                text += await within(seen.get(), "more of the stream", lambda: (text, answer))  # noqa: B023
            gate.set()
        result = await within(answer, "the stream's end")
    assert result["status"] == 200
    assert result["text"] == b"".join(events).decode()
    assert result["headers"]["x-router-provider"] == "up"
    assert result["headers"]["x-request-id"]
    request = await up.request()
    assert request.header("origin") is None


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Unauthorized(), "invalid_api_key"),
        (
            ClientFault("Rate limit exceeded", status=429, code="rate_limit_exceeded", retry_after=7),
            "rate_limit_exceeded",
        ),
        (ClientFault("No such model.", status=404, code="model_not_found"), "model_not_found"),
    ],
    ids=["401", "429", "404"],
)
async def test_a_page_can_read_the_reason_of_a_rejection(
    fault: GatewayError, code: str, up: Upstream, site: Upstream, page: Page
) -> None:
    async with gateway(up, origin(site)) as gw:
        refuse_with(gw, fault)
        result = await page.evaluate(CHAT, [f"{gw.url}/v1/chat/completions", STREAM, None])
    assert result["status"] == fault.status
    assert f'"code":"{code}"' in result["text"]
    assert result["headers"].get("retry-after") == ("7" if fault.retry_after else None)


async def test_a_page_may_use_every_method_of_the_api(up: Upstream, site: Upstream, page: Page) -> None:
    async with gateway(up, origin(site)) as gw:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            status = await page.evaluate(ASK, [f"{gw.url}/v1/nowhere", {"method": method}])
            assert status == 404, method


# -- other origins ------------------------------------------------------------------------------------


async def test_an_origin_that_is_not_allowed_is_rejected(up: Upstream, page: Page) -> None:
    async with gateway(up, "https://other.example") as gw:
        plain = {"method": "POST", "headers": {"Content-Type": "text/plain"}, "body": '{"model":"m","messages":[]}'}
        for options in ({}, plain, {"headers": {"Authorization": "Bearer x"}}):
            assert await page.evaluate(ASK, [f"{gw.url}/v1/chat/completions", options]) == REFUSED
        # What needs no preflight is sent, unseen: it must not do anything either.
        assert await page.evaluate(ASK, [f"{gw.url}/v1/chat/completions", plain | {"mode": "no-cors"}]) == 0
    assert up.connections == []


@pytest.mark.parametrize("listed", ["the site", "*"])
async def test_other_origins_cannot_reach_the_control_plane(
    listed: str, up: Upstream, site: Upstream, page: Page
) -> None:
    async with gateway(up, origin(site) if listed == "the site" else "*") as gw:
        for path in ("/admin", "/admin/keys", "/auth/api-keys"):
            for options in ({}, {"method": "POST"}, {"headers": {"Authorization": "Bearer x"}}):
                assert await page.evaluate(ASK, [gw.url + path, options]) == REFUSED, path
        assert await page.evaluate(ASK, [f"{gw.url}/v1/models", {}]) == 200
        answer = await page.goto(f"{gw.url}/admin")  # typed in or a bookmark: not another site's doing
        assert answer is not None
        assert answer.status != 403


async def test_a_cross_site_link_does_not_open_the_control_plane(up: Upstream, page: Page) -> None:
    async with gateway(up, "*") as gw:
        async with page.expect_navigation() as navigation:
            await page.evaluate("url => { location.href = url }", f"{gw.url}/admin")
        answer = await navigation.value
        assert answer is not None
        assert answer.status == 403


@pytest.mark.parametrize("listed", ["the site", "*"])
async def test_cross_origin_requests_have_no_cookies(listed: str, up: Upstream, site: Upstream, page: Page) -> None:
    async with gateway(up, origin(site) if listed == "the site" else "*") as gw:
        assert await page.evaluate(ASK, [f"{gw.url}/v1/models", {"credentials": "include"}]) == REFUSED


# -- pages of our own ---------------------------------------------------------------------------------


async def test_a_page_with_our_headers_runs_only_its_own_scripts(browser: Browser, site: Upstream) -> None:
    script = b"document.title = 'ours'"
    html = (
        b"<!doctype html><title>none</title><script>%b</script>"
        b"<script>document.title = 'injected'</script><img src=x onerror=\"document.title = 'injected'\">" % script
    )
    lines = [line.split(": ", 1) for line in page_lines(scripts=[script]).decode().split("\r\n")[:-1]]
    headers = [(name, value) for name, value in lines] + [("Content-Length", str(len(html)))]
    frame = b'<!doctype html><iframe src="/page"></iframe>'
    site.on(
        lambda request: (
            [Headers(200, headers), Send(html)]
            if request.target == "/page"
            else [Headers(200, [("Content-Type", "text/html"), ("Content-Length", str(len(frame)))]), Send(frame)]
        )
    )
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"{origin(site)}/page", wait_until="networkidle")
        assert await page.title() == "ours"
        assert await page.evaluate(ASK, [site.url, {}]) == REFUSED  # 127.0.0.1 is not localhost
        await page.goto(f"{origin(site)}/frame", wait_until="networkidle")
        assert page.frames[1].url != f"{origin(site)}/page"
