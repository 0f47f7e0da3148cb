"""Login and logout of a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.config.schema import ListenTls
from proxy.control.access.credential import COOKIE
from proxy.control.access.login import Login
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.server.request import Request
from tests.control.server import BEARER, TOKEN, ControlServer
from tests.support import Answer, Authority
from tests.support.secure import SecureClient

FORM = ("Content-Type", "application/x-www-form-urlencoded")


async def handler(request: Request) -> None:
    send_json(request, 200, {})


def routes(plane: ControlServer) -> Iterable[ControlRoute]:
    login = Login(plane.credential, plane.throttle, plane.bodies)
    return [*login.routes(), ControlRoute("GET", "/admin/thing", "admin", handler)]


@pytest.fixture
async def plane() -> AsyncIterator[ControlServer]:
    async with ControlServer(routes) as plane:
        yield plane


def given(answer: Answer) -> tuple[str, str]:
    """The cookie of an answer as the browser sends it back."""
    pair, _, attributes = (answer.header("set-cookie") or "").partition("; ")
    assert attributes == "Path=/admin; Max-Age=43200; HttpOnly; SameSite=Strict"
    return "Cookie", pair


async def inside(plane: ControlServer, cookie: tuple[str, str]) -> bool:
    return (await plane.fetch("GET", "/admin/thing", cookie)).status == 200


async def test_the_printed_link_logs_in(plane: ControlServer) -> None:
    answer = await plane.fetch("GET", plane.credential.login_path)
    assert (answer.status, answer.header("location"), answer.body) == (303, "/admin", b"")
    assert answer.header("referrer-policy") == "no-referrer"
    assert answer.header("cache-control") == "no-store"
    assert TOKEN.encode() not in b"".join(f"{name}: {value}".encode() for name, value in answer.head.headers)
    assert await inside(plane, given(answer))


@pytest.mark.parametrize("query", ["", "?", "?token=", "?token=wrong", f"?Token={TOKEN}", "?token=%FF%00", "?;&=&"])
async def test_a_link_with_another_token_does_not(query: str, plane: ControlServer) -> None:
    answer = await plane.fetch("GET", f"/admin/login{query}")
    assert (answer.status, answer.header("set-cookie")) == (401, None)
    assert answer.header("www-authenticate") == 'Bearer realm="sluice-admin"'


async def test_a_link_in_an_image_is_rejected(plane: ControlServer) -> None:
    for _ in range(10):
        answer = await plane.fetch("GET", "/admin/login?token=wrong", ("Sec-Fetch-Dest", "image"))
        assert answer.status == 403
    opened = ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "none")
    assert (await plane.fetch("GET", plane.credential.login_path, *opened)).status == 303


async def test_json_and_forms_log_in(plane: ControlServer) -> None:
    by_json = await plane.fetch("POST", "/admin/login", json={"token": TOKEN})
    by_form = await plane.fetch("POST", "/admin/login", FORM, body=f"a=b&token={quote(TOKEN)}".encode())
    for answer in (by_json, by_form):
        assert (answer.status, answer.body) == (204, b"")
        assert await inside(plane, given(answer))


async def test_a_wrong_token_is_rejected_with_a_delay(plane: ControlServer) -> None:
    for body in ({"json": {"token": "wrong"}}, {"headers_": FORM, "body": b"token=wrong"}):
        headers = [body.pop("headers_")] if "headers_" in body else []
        answer = await plane.fetch("POST", "/admin/login", *headers, **body)
        assert (answer.status, answer.header("set-cookie")) == (401, None)
    assert plane.clock.slept == [0.3, 0.3]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"json": []}, "invalid_json"),
        ({"body": b"{"}, "invalid_json"),
        ({"body": b""}, "invalid_json"),
        ({"json": {"token": 5}}, "invalid_value"),
        ({"json": {"token": None}}, "invalid_value"),
        ({"headers": [FORM], "body": b"a&" * 200}, "invalid_value"),
    ],
)
async def test_an_invalid_login_is_a_400_and_no_guess(
    request_: dict[str, object], code: str, plane: ControlServer
) -> None:
    client = await plane.client()
    for _ in range(7):
        answer = await client.fetch("POST", "/admin/login", **request_)
        assert (answer.status, answer.json["error"]["code"]) == (400, code)


async def test_a_lone_surrogate_is_a_wrong_token(plane: ControlServer) -> None:
    assert (await plane.fetch("POST", "/admin/login", body=b'{"token": "\\ud800"}')).status == 401


async def test_failed_logins_of_every_kind_are_counted_together(plane: ControlServer) -> None:
    async def try_all() -> list[int]:
        return [
            (await plane.fetch("POST", "/admin/login", json={"token": "wrong"})).status,
            (await plane.fetch("GET", "/admin/login?token=wrong")).status,
            (await plane.fetch("GET", "/admin/thing", ("Authorization", "Bearer wrong"))).status,
        ]

    assert await try_all() + await try_all() == [401] * 5 + [429]
    refused = await plane.fetch("POST", "/admin/login", json={"token": TOKEN})
    assert (refused.status, refused.header("set-cookie")) == (429, None)
    plane.clock.advance(int(refused.header("retry-after") or ""))
    assert (await plane.fetch("POST", "/admin/login", json={"token": TOKEN})).status == 204


async def test_parallel_logins_gain_nothing(plane: ControlServer) -> None:
    tries = (plane.fetch("POST", "/admin/login", json={"token": f"wrong{n}"}) for n in range(20))
    assert sorted(answer.status for answer in await asyncio.gather(*tries)) == [401] * 5 + [429] * 15


async def test_a_new_login_ends_the_previous_session(plane: ControlServer) -> None:
    first = given(await plane.fetch("GET", plane.credential.login_path))
    second = given(await plane.fetch("GET", plane.credential.login_path, first))
    assert (await inside(plane, first), await inside(plane, second)) == (False, True)


async def test_two_browsers_have_independent_sessions(plane: ControlServer) -> None:
    first = given(await plane.fetch("GET", plane.credential.login_path))
    second = given(await plane.fetch("POST", "/admin/login", json={"token": TOKEN}))
    assert (await inside(plane, first), await inside(plane, second)) == (True, True)


async def test_a_failed_login_keeps_the_session(plane: ControlServer) -> None:
    cookie = given(await plane.fetch("GET", plane.credential.login_path))
    answer = await plane.fetch("POST", "/admin/login", cookie, json={"token": "wrong"})
    assert (answer.status, answer.header("set-cookie")) == (401, None)
    assert await inside(plane, cookie)


async def test_logout_ends_the_session_and_deletes_the_cookie(plane: ControlServer) -> None:
    cookie = given(await plane.fetch("GET", plane.credential.login_path))
    answer = await plane.fetch("POST", "/admin/logout", cookie)
    assert answer.status == 204
    assert (answer.header("set-cookie") or "").startswith(f"{COOKIE}=; Path=/admin; Max-Age=0;")
    assert not await inside(plane, cookie)
    assert (await plane.fetch("POST", "/admin/logout", cookie)).status == 204
    assert (await plane.fetch("POST", "/admin/logout")).status == 204


async def test_a_cross_site_logout_is_rejected(plane: ControlServer) -> None:
    cookie = given(await plane.fetch("GET", plane.credential.login_path))
    assert (await plane.fetch("POST", "/admin/logout", cookie, ("Origin", "https://evil.example"))).status == 403
    assert await inside(plane, cookie)


async def test_the_cookie_is_secure_behind_a_tls_proxy(plane: ControlServer) -> None:
    by_proxy = await plane.fetch("GET", plane.credential.login_path, ("X-Forwarded-Proto", "https"))
    assert (by_proxy.header("set-cookie") or "").endswith("; Secure")
    plain = await plane.fetch("GET", plane.credential.login_path, ("X-Forwarded-Proto", "http"))
    assert "Secure" not in (plain.header("set-cookie") or "")


async def test_the_cookie_is_secure_with_our_own_tls(tmp_path: Path, authority: Authority) -> None:
    chain, key = authority.server_files(tmp_path)
    async with (
        ControlServer(routes, tls=ListenTls(cert_file=str(chain), key_file=str(key))) as plane,
        SecureClient(plane.port, authority.client_context()) as client,
    ):
        answer = await client.fetch("GET", plane.credential.login_path)
        assert (answer.status, (answer.header("set-cookie") or "").endswith("; Secure")) == (303, True)
        assert (answer.header("strict-transport-security") or "").startswith("max-age=")


async def test_a_disconnect_during_the_delay_is_handled(plane: ControlServer) -> None:
    hold = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await hold.wait()

    plane.throttle._sleep = sleep
    client = await plane.client()
    await client.request("GET", "/admin/thing", headers=[("Authorization", "Bearer wrong")])
    client.reset()
    hold.set()
    assert (await plane.fetch("GET", "/admin/thing", BEARER)).status == 200
