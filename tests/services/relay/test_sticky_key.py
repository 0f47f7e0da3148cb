from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from multidict import CIMultiDict

from proxy.config.service_schema import Stickiness
from proxy.services.relay.sticky_key import LONGEST_KEY, sticky_key

COOKIE = Stickiness(cookie="at")


def request(*headers: tuple[str, str], secure: bool = False) -> Any:
    return SimpleNamespace(headers=CIMultiDict(headers), secure=secure)


def test_the_value_of_the_cookie_is_the_key() -> None:
    assert sticky_key(request(("Cookie", "a=b; at=x1; c=d")), COOKIE) == (b"x1", b"")
    assert sticky_key(request(("Cookie", "a=b"), ("cookie", 'at="x1"')), COOKIE) == (b"x1", b"")


def test_a_client_without_the_cookie_gets_one() -> None:
    key, line = sticky_key(request(("Cookie", "chat=x; at=")), COOKIE)
    assert re.fullmatch(rb"[A-Za-z0-9_-]{22}", key)
    assert line == b"Set-Cookie: at=%b; Path=/; HttpOnly; SameSite=Lax\r\n" % key
    assert sticky_key(request(), COOKIE)[0] != key


def test_over_tls_the_cookie_stays_there() -> None:
    assert sticky_key(request(secure=True), COOKIE)[1].endswith(b"; SameSite=Lax; Secure\r\n")


def test_a_value_that_is_too_long_is_replaced() -> None:
    assert sticky_key(request(("Cookie", f"at={'x' * (LONGEST_KEY + 1)}")), COOKIE)[1]


def test_a_header_goes_before_the_cookie() -> None:
    both = Stickiness(cookie="at", header="X-User")
    assert sticky_key(request(("x-user", "u"), ("Cookie", "at=x")), both) == (b"u", b"")
    assert sticky_key(request(("Cookie", "at=x")), both) == (b"x", b"")


def test_without_the_header_any_address_is_used() -> None:
    assert sticky_key(request(), Stickiness(header="X-User")) == (b"", b"")
