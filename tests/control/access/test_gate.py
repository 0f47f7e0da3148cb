"""The credential check, and the limit on wrong guesses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from proxy.control.access.credential import COOKIE, SESSION_SECS
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.server.request import Request
from tests.control.server import BEARER, TOKEN, ControlServer

WRONG = ("Authorization", "Bearer wrong")
ELSEWHERE = ("x-test-address", "198.51.100.7")
PATH = "/admin/thing"


async def handler(request: Request) -> None:
    send_json(request, 200, {})


def routes(_: ControlServer) -> Iterable[ControlRoute]:
    yield from (
        ControlRoute(method, path, "admin", handler)
        for path in (PATH, "/auth/thing", "/metrics")
        for method in ("GET", "POST")
    )
    yield ControlRoute("GET", "/health", "open", handler)


@pytest.fixture
async def plane() -> AsyncIterator[ControlServer]:
    async with ControlServer(routes) as plane:
        yield plane


def session(plane: ControlServer) -> tuple[str, str]:
    return "Cookie", f"theme=dark; {COOKIE}={plane.credential.new_session()}"


# -- the token ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [BEARER, ("authorization", f"bearer  {TOKEN} "), ("x-api-key", TOKEN)],
)
@pytest.mark.parametrize("path", [PATH, "/auth/thing", "/metrics"])
async def test_the_token_is_accepted_in_every_header(header: tuple[str, str], path: str, plane: ControlServer) -> None:
    assert (await plane.fetch("GET", path, header)).status == 200
    assert (await plane.fetch("POST", path, header)).status == 200


async def test_a_missing_and_a_wrong_token_get_the_same_response(plane: ControlServer) -> None:
    missing = await plane.fetch("GET", PATH)
    wrong = await plane.fetch("GET", PATH, WRONG)
    assert missing.status == wrong.status == 401
    assert missing.body == wrong.body
    assert missing.head.headers == wrong.head.headers
    assert missing.header("www-authenticate") == 'Bearer realm="sluice-admin"'
    assert missing.json["error"]["type"] == "invalid_request_error"
    words = "This needs the admin token (see the start line, or data/admin-token)."
    assert missing.json["error"]["message"] == words


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", f"Basic {TOKEN}"),
        ("Authorization", TOKEN),
        ("Authorization", "Bearer"),
        ("Authorization", f"Bearer {TOKEN}x"),
        ("Authorization", f"Bearer {TOKEN[:-1]}"),
        ("Authorization", f"Bearer {TOKEN.upper()}"),
        ("x-api-key", ""),
        ("Cookie", f"{COOKIE}={TOKEN}"),
        ("Cookie", COOKIE),
    ],
)
async def test_anything_but_the_token_is_a_401(header: tuple[str, str], plane: ControlServer) -> None:
    assert (await plane.fetch("GET", PATH, header)).status == 401


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", "10.0.0.1, 127.0.0.1"),
        ("X-Forwarded-Host", "localhost"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=127.0.0.1"),
        ("Host", "localhost"),
    ],
)
async def test_loopback_grants_nothing(header: tuple[str, str], plane: ControlServer) -> None:
    assert (await plane.fetch("GET", PATH)).status == 401  # over loopback, as all of these tests
    assert (await plane.fetch("GET", PATH, header)).status == 401


# -- guessing -------------------------------------------------------------------------------------


async def test_only_a_wrong_token_delays_the_response(plane: ControlServer) -> None:
    await plane.fetch("GET", PATH)
    assert plane.clock.slept == []
    await plane.fetch("GET", PATH, WRONG)
    assert plane.clock.slept == [0.3]


async def test_after_five_wrong_guesses_even_the_short_token_is_throttled(plane: ControlServer) -> None:
    for _ in range(5):
        assert (await plane.fetch("GET", PATH, WRONG)).status == 401
    for header in (WRONG, BEARER):
        answer = await plane.fetch("GET", PATH, header)
        assert answer.status == 429
        assert 1 <= int(answer.header("retry-after") or "") <= 5
        assert answer.json["error"]["type"] == "rate_limit_error"
    plane.clock.advance(5)
    assert (await plane.fetch("GET", PATH, BEARER)).status == 200


async def test_then_one_guess_in_five_seconds_is_checked(plane: ControlServer) -> None:
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    for _ in range(3):
        plane.clock.advance(5)
        assert (await plane.fetch("GET", PATH, WRONG)).status == 401
        assert (await plane.fetch("GET", PATH, WRONG)).status == 429


async def test_parallel_guesses_gain_nothing(plane: ControlServer) -> None:
    answers = await asyncio.gather(*(plane.fetch("GET", PATH, WRONG) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [401] * 5 + [429] * 15


@pytest.mark.parametrize("headers", [(WRONG, ("x-api-key", TOKEN)), (BEARER, ("x-api-key", "wrong"))])
async def test_any_valid_one_of_two_credentials_is_accepted(
    headers: tuple[tuple[str, str], ...], plane: ControlServer
) -> None:
    for _ in range(10):
        assert (await plane.fetch("GET", PATH, *headers)).status == 200
    assert plane.clock.slept == []


async def test_a_session_is_accepted_beside_a_wrong_token(plane: ControlServer) -> None:
    for _ in range(10):
        assert (await plane.fetch("GET", PATH, WRONG, session(plane))).status == 200
    assert plane.clock.slept == []


async def test_two_wrong_tokens_are_two_guesses(plane: ControlServer) -> None:
    for _ in range(2):
        assert (await plane.fetch("GET", PATH, WRONG, ("x-api-key", "wrong too"))).status == 401
    assert (await plane.fetch("GET", PATH, WRONG, ("x-api-key", "wrong too"))).status == 429


async def test_guesses_from_one_ipv6_64_are_counted_together(plane: ControlServer) -> None:
    for number in range(5):
        address = ("x-test-address", f"2001:db8::{number}")
        assert (await plane.fetch("GET", PATH, WRONG, address)).status == 401
    assert (await plane.fetch("GET", PATH, WRONG, ("x-test-address", "2001:db8::9"))).status == 429
    assert (await plane.fetch("GET", PATH, WRONG, ("x-test-address", "2001:db8:0:1::9"))).status == 401


@pytest.mark.parametrize(("length", "status"), [(31, 429), (32, 200)])
async def test_only_a_short_token_is_throttled_by_the_guesses_of_others(length: int, status: int) -> None:
    token = "t" * length
    async with ControlServer(routes, token=token) as plane:
        for _ in range(6):
            await plane.fetch("GET", PATH, WRONG)
        assert (await plane.fetch("GET", PATH, WRONG)).status == 429
        assert (await plane.fetch("GET", PATH, ("Authorization", f"Bearer {token}"))).status == status


async def test_a_valid_session_is_never_throttled(plane: ControlServer) -> None:
    signed_in = session(plane)
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    assert (await plane.fetch("GET", PATH, BEARER)).status == 429
    slept = len(plane.clock.slept)
    assert [(await plane.fetch("GET", PATH, signed_in)).status for _ in range(20)] == [200] * 20
    assert len(plane.clock.slept) == slept


async def test_other_addresses_are_not_throttled(plane: ControlServer) -> None:
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    assert (await plane.fetch("GET", PATH, BEARER, ELSEWHERE)).status == 200
    assert (await plane.fetch("GET", PATH, WRONG, ELSEWHERE)).status == 401


async def test_the_right_token_is_never_throttled_by_itself(plane: ControlServer) -> None:
    client = await plane.client()
    for _ in range(50):
        assert (await client.fetch("GET", PATH, headers=[BEARER])).status == 200
    assert plane.clock.slept == []


async def test_a_request_without_a_token_is_no_guess(plane: ControlServer) -> None:
    for _ in range(20):
        assert (await plane.fetch("GET", PATH)).status == 401
        assert (await plane.fetch("GET", PATH, ("Authorization", "Basic YTpi"))).status == 401
    assert (await plane.ask("GET", PATH)).status == 200


async def test_open_pages_are_not_throttled(plane: ControlServer) -> None:
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    assert (await plane.fetch("GET", "/health", WRONG)).status == 200


# -- the session ----------------------------------------------------------------------------------


async def test_a_session_is_accepted_below_admin_only(plane: ControlServer) -> None:
    assert (await plane.fetch("GET", PATH, session(plane))).status == 200
    assert (await plane.fetch("HEAD", PATH, session(plane))).status == 200
    assert (await plane.fetch("POST", PATH, session(plane))).status == 200
    assert (await plane.fetch("GET", "/auth/thing", session(plane))).status == 401
    assert (await plane.fetch("GET", "/metrics", session(plane))).status == 401
    assert (await plane.fetch("GET", "/admin", session(plane))).status == 401


async def test_an_expired_session_is_deleted_and_is_no_guess(plane: ControlServer) -> None:
    old = session(plane)
    plane.clock.advance(SESSION_SECS)
    for _ in range(10):
        answer = await plane.fetch("GET", PATH, old)
        assert answer.status == 401
        assert (answer.header("set-cookie") or "").startswith(f"{COOKIE}=; Path=/admin; Max-Age=0;")


async def test_a_forged_session_counts_as_a_guess(plane: ControlServer) -> None:
    expires, number, signature = plane.credential.new_session().split(".")
    forged = "Cookie", f"{COOKIE}={expires}.{number}.{'0' * len(signature)}"
    assert [(await plane.fetch("GET", PATH, forged)).status for _ in range(7)] == [401] * 5 + [429] * 2
    assert plane.clock.slept == [0.3] * 5


async def test_a_session_is_not_throttled_by_the_guesses_of_others(plane: ControlServer) -> None:
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    assert (await plane.fetch("GET", PATH, session(plane))).status == 200


async def test_a_session_is_accepted_beside_another_authentication_scheme(plane: ControlServer) -> None:
    basic = ("Authorization", "Basic YTpi")  # a proxy's before us, perhaps
    assert (await plane.fetch("GET", PATH, basic, session(plane))).status == 200


async def test_a_cross_site_change_is_rejected_beside_a_wrong_token(plane: ControlServer) -> None:
    foreign = ("Sec-Fetch-Site", "cross-site")
    assert (await plane.fetch("POST", PATH, WRONG, session(plane), foreign)).status == 403


@pytest.mark.parametrize(
    "header",
    [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "none"),
        ("Origin", "https://evil.example"),
        ("Origin", "http://127.0.0.1:1"),
        ("Origin", "null"),
        ("Origin", ""),
    ],
)
async def test_a_cross_site_change_by_session_is_rejected(header: tuple[str, str], plane: ControlServer) -> None:
    answer = await plane.fetch("POST", PATH, session(plane), header)
    assert (answer.status, answer.json["error"]["code"]) == (403, "cross_site_request")
    assert (await plane.fetch("GET", PATH, session(plane), header)).status == 200
    assert (await plane.fetch("POST", PATH, BEARER, header)).status == 200  # no browser adds that by itself


async def test_a_same_origin_change_by_session_is_accepted(plane: ControlServer) -> None:
    own = ("Origin", f"http://127.0.0.1:{plane.port}"), ("Sec-Fetch-Site", "same-origin")
    assert (await plane.fetch("POST", PATH, session(plane), *own)).status == 200
