"""Who gets in, who does not, and that guessing is slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from proxy.control.access.credential import COOKIE, SESSION_SECS
from proxy.control.http.replies import send
from proxy.control.http.router import Route
from proxy.server.connection import Request
from tests.control.served import BEARER, TOKEN, Served

WRONG = ("Authorization", "Bearer wrong")
ELSEWHERE = ("x-test-address", "198.51.100.7")
PATH = "/admin/thing"


async def told(request: Request) -> None:
    send(request, 200, {})


def routes(_: Served) -> Iterable[Route]:
    yield from (
        Route(method, path, "admin", told) for path in (PATH, "/auth/thing", "/metrics") for method in ("GET", "POST")
    )
    yield Route("GET", "/health", "open", told)


@pytest.fixture
async def plane() -> AsyncIterator[Served]:
    async with Served(routes) as plane:
        yield plane


def session(plane: Served) -> tuple[str, str]:
    return "Cookie", f"theme=dark; {COOKIE}={plane.credential.begin()}"


# -- the token ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [BEARER, ("authorization", f"bearer  {TOKEN} "), ("x-api-key", TOKEN)],
)
@pytest.mark.parametrize("path", [PATH, "/auth/thing", "/metrics"])
async def test_the_token_opens_every_route(header: tuple[str, str], path: str, plane: Served) -> None:
    assert (await plane.fetch("GET", path, header)).status == 200
    assert (await plane.fetch("POST", path, header)).status == 200


async def test_missing_and_wrong_are_told_in_the_same_words(plane: Served) -> None:
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
async def test_what_is_not_the_token_is_a_401(header: tuple[str, str], plane: Served) -> None:
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
async def test_nothing_is_granted_for_coming_from_this_machine(header: tuple[str, str], plane: Served) -> None:
    assert (await plane.fetch("GET", PATH)).status == 401  # over loopback, as all of these tests
    assert (await plane.fetch("GET", PATH, header)).status == 401


# -- guessing -------------------------------------------------------------------------------------


async def test_a_wrong_guess_waits_for_its_answer_and_a_missing_one_does_not(plane: Served) -> None:
    await plane.fetch("GET", PATH)
    assert plane.clock.slept == []
    await plane.fetch("GET", PATH, WRONG)
    assert plane.clock.slept == [0.3]


async def test_after_five_wrong_guesses_even_the_right_one_has_to_wait(plane: Served) -> None:
    for _ in range(5):
        assert (await plane.fetch("GET", PATH, WRONG)).status == 401
    for header in (WRONG, BEARER):
        answer = await plane.fetch("GET", PATH, header)
        assert answer.status == 429
        assert 1 <= int(answer.header("retry-after") or "") <= 5
        assert answer.json["error"]["type"] == "rate_limit_error"
    plane.clock.advance(5)
    assert (await plane.fetch("GET", PATH, BEARER)).status == 200


async def test_from_then_on_one_guess_in_five_seconds_is_heard(plane: Served) -> None:
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    for _ in range(3):
        plane.clock.advance(5)
        assert (await plane.fetch("GET", PATH, WRONG)).status == 401
        assert (await plane.fetch("GET", PATH, WRONG)).status == 429


async def test_guesses_at_once_win_nothing(plane: Served) -> None:
    answers = await asyncio.gather(*(plane.fetch("GET", PATH, WRONG) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [401] * 5 + [429] * 15


@pytest.mark.parametrize("headers", [(WRONG, ("x-api-key", TOKEN)), (BEARER, ("x-api-key", "wrong"))])
async def test_any_valid_one_of_two_credentials_counts(headers: tuple[tuple[str, str], ...], plane: Served) -> None:
    for _ in range(10):
        assert (await plane.fetch("GET", PATH, *headers)).status == 200
    assert plane.clock.slept == []


async def test_a_session_counts_beside_a_wrong_token(plane: Served) -> None:
    for _ in range(10):
        assert (await plane.fetch("GET", PATH, WRONG, session(plane))).status == 200
    assert plane.clock.slept == []


async def test_two_wrong_tokens_are_two_guesses(plane: Served) -> None:
    for _ in range(2):
        assert (await plane.fetch("GET", PATH, WRONG, ("x-api-key", "wrong too"))).status == 401
    assert (await plane.fetch("GET", PATH, WRONG, ("x-api-key", "wrong too"))).status == 429


async def test_guesses_from_one_64_are_those_of_one_client(plane: Served) -> None:
    for number in range(5):
        address = ("x-test-address", f"2001:db8::{number}")
        assert (await plane.fetch("GET", PATH, WRONG, address)).status == 401
    assert (await plane.fetch("GET", PATH, WRONG, ("x-test-address", "2001:db8::9"))).status == 429
    assert (await plane.fetch("GET", PATH, WRONG, ("x-test-address", "2001:db8:0:1::9"))).status == 401


@pytest.mark.parametrize(("length", "status"), [(31, 429), (32, 200)])
async def test_only_a_token_that_can_be_guessed_waits_for_the_guesses_of_others(length: int, status: int) -> None:
    token = "t" * length
    async with Served(routes, token=token) as plane:
        for _ in range(6):
            await plane.fetch("GET", PATH, WRONG)
        assert (await plane.fetch("GET", PATH, WRONG)).status == 429
        assert (await plane.fetch("GET", PATH, ("Authorization", f"Bearer {token}"))).status == status


async def test_a_signed_in_session_is_never_slowed_by_guesses(plane: Served) -> None:
    signed_in = session(plane)
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    assert (await plane.fetch("GET", PATH, BEARER)).status == 429
    slept = len(plane.clock.slept)
    assert [(await plane.fetch("GET", PATH, signed_in)).status for _ in range(20)] == [200] * 20
    assert len(plane.clock.slept) == slept


async def test_those_of_other_addresses_are_not_held_up(plane: Served) -> None:
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    assert (await plane.fetch("GET", PATH, BEARER, ELSEWHERE)).status == 200
    assert (await plane.fetch("GET", PATH, WRONG, ELSEWHERE)).status == 401


async def test_who_is_right_may_ask_as_often_as_he_likes(plane: Served) -> None:
    client = await plane.client()
    for _ in range(50):
        assert (await client.fetch("GET", PATH, headers=[BEARER])).status == 200
    assert plane.clock.slept == []


async def test_who_shows_no_token_guesses_nothing(plane: Served) -> None:
    for _ in range(20):
        assert (await plane.fetch("GET", PATH)).status == 401
        assert (await plane.fetch("GET", PATH, ("Authorization", "Basic YTpi"))).status == 401
    assert (await plane.ask("GET", PATH)).status == 200


async def test_open_pages_stay_open_to_who_guessed_wrong(plane: Served) -> None:
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    assert (await plane.fetch("GET", "/health", WRONG)).status == 200


# -- the session ----------------------------------------------------------------------------------


async def test_a_session_opens_what_is_below_admin_and_nothing_else(plane: Served) -> None:
    assert (await plane.fetch("GET", PATH, session(plane))).status == 200
    assert (await plane.fetch("HEAD", PATH, session(plane))).status == 200
    assert (await plane.fetch("POST", PATH, session(plane))).status == 200
    assert (await plane.fetch("GET", "/auth/thing", session(plane))).status == 401
    assert (await plane.fetch("GET", "/metrics", session(plane))).status == 401
    assert (await plane.fetch("GET", "/admin", session(plane))).status == 401


async def test_a_session_that_is_over_is_taken_back_and_no_guess(plane: Served) -> None:
    old = session(plane)
    plane.clock.advance(SESSION_SECS)
    for _ in range(10):
        answer = await plane.fetch("GET", PATH, old)
        assert answer.status == 401
        assert (answer.header("set-cookie") or "").startswith(f"{COOKIE}=; Path=/admin; Max-Age=0;")


async def test_a_forged_session_is_a_guess_like_any_other(plane: Served) -> None:
    expires, number, signature = plane.credential.begin().split(".")
    forged = "Cookie", f"{COOKIE}={expires}.{number}.{'0' * len(signature)}"
    assert [(await plane.fetch("GET", PATH, forged)).status for _ in range(7)] == [401] * 5 + [429] * 2
    assert plane.clock.slept == [0.3] * 5


async def test_who_has_a_session_is_not_held_up_by_the_guesses_of_others(plane: Served) -> None:
    for _ in range(6):
        await plane.fetch("GET", PATH, WRONG)
    assert (await plane.fetch("GET", PATH, session(plane))).status == 200


async def test_a_session_counts_beside_a_header_of_another_scheme(plane: Served) -> None:
    basic = ("Authorization", "Basic YTpi")  # a proxy's before us, perhaps
    assert (await plane.fetch("GET", PATH, basic, session(plane))).status == 200


async def test_a_session_beside_a_wrong_token_changes_nothing_for_another_site(plane: Served) -> None:
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
async def test_another_site_changes_nothing_by_a_browsers_session(header: tuple[str, str], plane: Served) -> None:
    answer = await plane.fetch("POST", PATH, session(plane), header)
    assert (answer.status, answer.json["error"]["code"]) == (403, "cross_site_request")
    assert (await plane.fetch("GET", PATH, session(plane), header)).status == 200
    assert (await plane.fetch("POST", PATH, BEARER, header)).status == 200  # no browser adds that by itself


async def test_our_own_page_may_change_things(plane: Served) -> None:
    own = ("Origin", f"http://127.0.0.1:{plane.port}"), ("Sec-Fetch-Site", "same-origin")
    assert (await plane.fetch("POST", PATH, session(plane), *own)).status == 200
