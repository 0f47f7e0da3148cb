"""Fetches over real sockets. 127.0.0.1 stands for a public address, and 127.0.0.2 for a private one."""

from __future__ import annotations

import asyncio
import base64
import errno
import socket
from collections.abc import Callable
from unittest import mock

import pytest
from aiohttp.abc import ResolveResult

from proxy.client import tls
from proxy.config.provider_schema import Tls
from proxy.config.schema import FetchSettings
from proxy.dialects.translation.absent import ContentKind, WantedContent
from proxy.dialects.translation.conversation import ContentSource
from proxy.errors import Overloaded
from proxy.fetch.fetcher import AT_ONCE, MOST, ContentFetcher
from proxy.fetch.guard import AddressGuard
from proxy.fetch.unavailable import ContentUnavailable
from proxy.net.budget import Budget
from proxy.runtime.workers import Workers
from tests.support import Authority, Chunk, Close, Headers, LastChunk, Reset, Send, Stall, Upstream, Wait, within
from tests.support.steps import Script
from tests.support.upstream import Request

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
IMAGE = ContentSource(data=base64.b64encode(PNG).decode(), media_type="image/png")
SETTINGS = FetchSettings(private_addresses=True)


def file(content: bytes = PNG, media_type: str = "image/png", *more: tuple[str, str]) -> Script:
    headers = [("Content-Type", media_type), ("Content-Length", str(len(content))), *more]
    return [Headers(200, headers), Send(content)]


def redirect(location: str, status: int = 302) -> Script:
    return [Headers(status, [("Location", location), ("Content-Length", "0")])]


def fetcher(make_guard: Callable[[Workers, bool], AddressGuard] | None = None) -> ContentFetcher:
    return ContentFetcher({}, lambda: tls.context(Tls()), make_guard)


def guarded(look_up: Callable[[str, int, int], list[ResolveResult]] | None = None) -> ContentFetcher:
    """Only 127.0.0.1 is public."""
    return fetcher(lambda lookups, _: AddressGuard(lookups, "127.0.0.1".__eq__, any_port=True, look_up=look_up))


async def fetch(
    address: str,
    kind: ContentKind = "image",
    settings: FetchSettings = SETTINGS,
    by: ContentFetcher | None = None,
    hold: Callable[[int], None] = lambda size: None,
) -> ContentSource:
    wanted = WantedContent(kind, address)
    found = await (by or fetcher()).fetch([wanted], settings, settings.timeout_secs, hold)
    return found[wanted]


async def test_content_is_fetched_as_base64() -> None:
    async with Upstream() as up:
        up.queue(file())
        held: list[int] = []
        assert await fetch(f"{up.origin}/a%20b.png?x=1#y", hold=held.append) == IMAGE
        assert sum(held) == len(PNG)
        request = await up.request()
        assert (request.method, request.target) == ("GET", "/a%20b.png?x=1")


async def test_nothing_of_the_gateway_or_its_client_goes_along() -> None:
    async with Upstream() as up:
        up.on(lambda request: [Headers(200, [("Set-Cookie", "a=b"), *file()[0].headers]), Send(PNG)])
        await fetch(f"{up.origin}/x")
        request = await up.request()
        assert {name.lower() for name, _ in request.headers} == {
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "connection",
        }
        assert request.header("User-Agent") == "sluice"
        assert request.header("Accept-Encoding") == "identity"


async def test_a_body_may_come_in_chunks_or_end_with_its_connection() -> None:
    async with Upstream() as up:
        types = ("Content-Type", "image/png")
        chunks = [Chunk(PNG[at : at + 7]) for at in range(0, len(PNG), 7)]
        up.queue([Headers(200, [types, ("Transfer-Encoding", "chunked")]), *chunks, LastChunk()])
        up.queue([Headers(200, [types]), Send(PNG), Close()])
        assert await fetch(f"{up.origin}/chunks") == IMAGE
        assert await fetch(f"{up.origin}/close") == IMAGE


async def test_a_text_is_fetched_as_a_text() -> None:
    async with Upstream() as up:
        up.queue(file("Grüße".encode(), "text/markdown; charset=utf-8"))
        assert await fetch(f"{up.origin}/x", "file") == ContentSource(text="Grüße", media_type="text/markdown")


async def test_all_content_of_a_request_is_fetched_at_once() -> None:
    async with Upstream() as up:
        arrived = asyncio.Event()

        def answer(request: Request) -> Script:
            if request.number == 2:
                arrived.set()
            return [Wait(arrived), *file(PNG + request.target.encode())]

        up.on(answer)
        wanted = [WantedContent("image", f"{up.origin}/{number}") for number in range(3)]
        found = await within(fetcher().fetch(wanted, SETTINGS, 10, lambda size: None), "three requests at once")
        assert [base64.b64decode(found[each].data or "")[-1:] for each in wanted] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([Headers(404, [("Content-Length", "0")])], "answers with status 404"),
        ([Headers(204)], "answers with status 204"),
        ([Headers(304)], "answers with status 304"),
        (file(b""), "is empty"),
        (file(b"<html>", "text/html"), "is no PNG"),
        (file(b"\x89PNG", "image/png"), "is no PNG"),
        (file(PNG, "image/png", ("Content-Encoding", "gzip")), "compressed"),
        ([Headers(200, [("Content-Type", "image/png"), ("Content-Length", "9999")]), Send(PNG), Close()], "breaks off"),
        ([Headers(200, [("Content-Type", "image/png"), ("Content-Length", "9999")]), Send(PNG), Reset()], "breaks off"),
        ([Send(b"nonsense\r\n\r\n"), Close()], "breaks off"),
        ([Close()], "breaks off"),
        (redirect(""), "redirected more than 3 times"),
        ([Headers(302, [("Content-Length", "0")])], "redirected more than 3 times"),
    ],
)
async def test_an_answer_without_the_content_is_refused(script: Script, reason: str) -> None:
    async with Upstream() as up:
        up.on(lambda request: script)
        with pytest.raises(ContentUnavailable, match=reason) as raised:
            await fetch(f"{up.origin}/x")
        assert raised.value.wanted == WantedContent("image", f"{up.origin}/x")
        assert up.origin not in str(raised.value)


async def test_certificates_are_verified(authority: Authority) -> None:
    async with Upstream(tls=authority.server_context()) as up:
        up.on(lambda request: file())
        assert await fetch(f"{up.origin}/x", by=ContentFetcher({}, authority.client_context)) == IMAGE
        with pytest.raises(ContentUnavailable, match="without a valid certificate"):
            await fetch(f"{up.origin}/x")


async def test_a_server_that_is_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(ContentUnavailable, match="cannot be reached") as raised:
            await fetch(address)
        assert "127.0.0.1" in raised.value.detail
    with pytest.raises(ContentUnavailable, match="cannot be reached"):
        await fetch("http://nowhere.invalid/x", by=guarded(_unknown))


def _unknown(host: str, port: int, family: int) -> list[ResolveResult]:
    raise socket.gaierror(socket.EAI_NONAME, "unknown")


@pytest.mark.parametrize("declared", [True, False])
async def test_content_may_not_be_too_large(declared: bool) -> None:
    content = PNG * 60
    async with Upstream() as up:
        length = [("Content-Length", str(len(content)))] if declared else []
        up.queue([Headers(200, [("Content-Type", "image/png"), *length]), Send(content), Stall()])
        held: list[int] = []
        with pytest.raises(ContentUnavailable, match=r"larger than 0\.1 MB"):
            await fetch(f"{up.origin}/x", settings=FetchSettings(private_addresses=True, max_mb=0.1), hold=held.append)
        assert sum(held) <= (0 if declared else 0.1 * 1024 * 1024)


async def test_the_bound_of_the_size_is_for_all_content_together() -> None:
    async with Upstream() as up:
        up.on(lambda request: file(PNG * 30))
        wanted = [WantedContent("image", f"{up.origin}/{number}") for number in range(3)]
        settings = FetchSettings(private_addresses=True, max_mb=0.15)
        with pytest.raises(ContentUnavailable, match="all of the request together"):
            await fetcher().fetch(wanted, settings, 10, lambda size: None)


async def test_a_slow_server_ends_with_the_time() -> None:
    async with Upstream() as up:
        up.on(lambda request: [Headers(200, [("Content-Type", "image/png"), ("Content-Length", "99")]), Stall()])
        with pytest.raises(ContentUnavailable, match=r"did not arrive within 0\.05 s"):
            await fetch(f"{up.origin}/x", settings=FetchSettings(private_addresses=True, timeout_secs=0.05))
        await within((await up.request()).gone.wait(), "the connection to close")


async def test_the_first_failure_ends_the_others() -> None:
    async with Upstream() as up:
        up.on(lambda request: [Stall()] if request.target == "/slow" else [Headers(404, [("Content-Length", "0")])])
        wanted = [WantedContent("image", f"{up.origin}/{name}") for name in ("slow", "missing")]
        with pytest.raises(ContentUnavailable, match="404") as raised:
            await within(fetcher().fetch(wanted, SETTINGS, 60, lambda size: None), "the fetch to fail")
        assert raised.value.wanted == wanted[1]


async def test_a_request_may_not_name_too_many_addresses() -> None:
    wanted = [WantedContent("image", f"http://127.0.0.1:1/{number}") for number in range(MOST + 1)]
    with pytest.raises(ContentUnavailable, match="more than 16 addresses"):
        await fetcher().fetch(wanted, SETTINGS, 10, lambda size: None)


async def test_a_canceled_fetch_closes_its_connection() -> None:
    async with Upstream() as up:
        up.on(lambda request: [Stall()])
        fetching = asyncio.create_task(fetch(f"{up.origin}/x"))
        request = await up.request()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        await within(request.gone.wait(), "the connection to close")


async def test_the_memory_of_the_process_is_bounded() -> None:
    budget = Budget(100)
    async with Upstream() as up:
        up.on(lambda request: file())
        with pytest.raises(Overloaded):
            await fetch(f"{up.origin}/x", hold=budget.take)


async def test_a_process_fetches_a_bounded_number_at_once() -> None:
    async with Upstream() as up:
        up.on(lambda request: [Stall()])
        by = fetcher()
        tasks = [asyncio.create_task(fetch(f"{up.origin}/{number}", by=by)) for number in range(AT_ONCE + 3)]
        await up.request(AT_ONCE - 1)
        assert len(list(up)) == AT_ONCE
        tasks[0].cancel()
        await up.request(AT_ONCE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_shortage_of_this_machine_is_not_the_clients_fault() -> None:
    def open_(self: AddressGuard, info: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with mock.patch.object(AddressGuard, "open", open_), pytest.raises(Overloaded):
        await fetch("http://127.0.0.1:1/x")


async def test_a_redirect_is_followed() -> None:
    async with Upstream() as up:
        for status in (301, 302, 303, 307, 308):
            up.queue(redirect("/there", status), file())
            assert await fetch(f"{up.origin}/here", by=guarded()) == IMAGE
        assert [request.target for request in up] == ["/here", "/there"] * 5


@pytest.mark.parametrize("location", ["http://127.0.0.2:{port}/", "http://[::1]:{port}/", "file:///etc/passwd"])
async def test_a_redirect_to_a_private_address_is_refused(location: str) -> None:
    async with Upstream() as up:
        up.queue(redirect(location.format(port=up.port)))
        with pytest.raises(ContentUnavailable, match=r"not public|neither http"):
            await fetch(f"{up.origin}/x", by=guarded())
        assert len(list(up)) == 1


async def test_a_redirect_to_a_name_of_a_private_address_is_refused() -> None:
    async with Upstream() as up:
        up.queue(redirect(f"http://inner.example:{up.port}/"))
        with pytest.raises(ContentUnavailable, match="not public"):
            await fetch(f"{up.origin}/x", by=guarded(_to("127.0.0.2")))
        assert len(list(up)) == 1


def _to(*addresses: str) -> Callable[[str, int, int], list[ResolveResult]]:
    """A resolver that answers with one address after the other."""
    left = list(addresses)

    def look_up(host: str, port: int, family: int) -> list[ResolveResult]:
        address = left.pop(0)
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=6, flags=0)]

    return look_up


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """DNS rebinding: the connection goes to what was judged, without a second lookup."""
    async with Upstream() as up:
        up.queue(redirect("/again"), file())
        with pytest.raises(ContentUnavailable, match="not public"):
            await fetch(f"http://rebinding.example:{up.port}/x", by=guarded(_to("127.0.0.1", "127.0.0.2")))
        (request,) = up
        assert request.header("Host") == f"rebinding.example:{up.port}"


async def test_a_proxy_is_used_only_if_that_is_allowed() -> None:
    async with Upstream() as up:
        up.queue(file())
        by = ContentFetcher({"HTTP_PROXY": up.origin}, lambda: tls.context(Tls()))
        with pytest.raises(ContentUnavailable, match=r"translate\.fetch\.viaProxy"):
            await fetch("http://files.example/x", settings=FetchSettings(), by=by)
        assert await fetch("http://files.example/x", settings=FetchSettings(via_proxy=True), by=by) == IMAGE
        (request,) = up
        assert request.target == "http://files.example/x"
        with pytest.raises(ContentUnavailable, match="not public"):
            await fetch("http://10.0.0.1/x", settings=FetchSettings(via_proxy=True), by=by)


async def test_a_proxy_that_is_not_usable() -> None:
    by = ContentFetcher({"HTTP_PROXY": "socks5://127.0.0.1"}, lambda: tls.context(Tls()))
    with pytest.raises(ContentUnavailable, match="behind a proxy that is not configured"):
        await fetch("http://files.example/x", by=by)
