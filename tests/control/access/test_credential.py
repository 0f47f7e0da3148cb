"""The admin token and the sessions that a browser gets for it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.schema import Admin
from proxy.control.access.credential import COOKIE, SESSION_SECS, AdminCredential, cookie


class Wall:
    """Unix seconds in the test's own hands."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def credential(wall: Wall) -> AdminCredential:
    return AdminCredential(Admin(token="right"), "/nowhere", wall)


def test_a_configured_token_needs_no_folder(credential: AdminCredential) -> None:
    assert (credential.token, credential.generated) == ("right", False)
    assert not Path("/nowhere").exists()


def test_without_one_it_is_made_and_outlives_the_process(tmp_path: Path) -> None:
    first, second = (AdminCredential(Admin(), str(tmp_path)) for _ in range(2))
    assert first.generated
    assert first.is_token(second.token)
    assert second.judge(first.begin()) == "valid"


def test_it_does_not_tell_its_token_by_accident(credential: AdminCredential) -> None:
    assert "right" not in repr(credential)


def test_the_login_link_brings_any_token_whole() -> None:
    credential = AdminCredential(Admin(token="a&b=c+d %/#"), "")
    path, _, query = credential.login_path.partition("?")
    assert (path, parse_qs(query)) == ("/admin/login", {"token": ["a&b=c+d %/#"]})


@given(st.text())
def test_nothing_but_the_token_is_the_token(text: str) -> None:
    assert AdminCredential(Admin(token="right"), "").is_token(text) == (text == "right")


def test_text_that_is_no_unicode_is_no_token(credential: AdminCredential) -> None:
    assert not credential.is_token("right\udcff")
    assert not credential.is_token("\ud800")


def test_a_session_ends_after_twelve_hours(credential: AdminCredential, wall: Wall) -> None:
    session = credential.begin()
    wall.now += SESSION_SECS - 1
    assert credential.judge(session) == "valid"
    wall.now += 1
    assert credential.judge(session) == "over"


def test_a_session_does_not_hold_the_token(credential: AdminCredential) -> None:
    assert "right" not in credential.begin()


def test_two_sessions_of_one_moment_are_two(credential: AdminCredential) -> None:
    one, other = credential.begin(), credential.begin()
    credential.end(one)
    assert (credential.judge(one), credential.judge(other)) == ("over", "valid")


def test_another_token_ends_every_session(credential: AdminCredential, wall: Wall) -> None:
    assert AdminCredential(Admin(token="changed"), "", wall).judge(credential.begin()) == "forged"


def test_what_ended_is_forgotten_once_it_would_have_ended_anyway(credential: AdminCredential, wall: Wall) -> None:
    for _ in range(5):
        credential.end(credential.begin())
    wall.now += SESSION_SECS
    credential.end(credential.begin())
    assert len(credential._ended) == 1


def test_nobody_makes_us_remember_what_was_no_session(credential: AdminCredential) -> None:
    expires, _, signature = credential.begin().split(".")
    for number in range(100):
        credential.end(f"{expires}.{number}.{signature}")
    assert not credential._ended


def test_no_part_of_a_session_can_be_changed(credential: AdminCredential) -> None:
    expires, number, signature = credential.begin().split(".")
    for forged in (
        f"{int(expires) + 1}.{number}.{signature}",
        f"{expires}.{number}x.{signature}",
        f"{expires}.{number}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
    ):
        assert credential.judge(forged) == "forged"


@given(st.text() | st.from_regex(r"[0-9]{1,14}\.[\w-]{0,4}\.[0-9a-f]{62,66}"))
def test_whatever_else_a_cookie_holds_is_no_session(text: str) -> None:
    assert AdminCredential(Admin(token="right"), "").judge(text) in ("over", "forged")


def test_the_cookie_goes_to_the_admin_pages_only_and_no_script_reads_it() -> None:
    assert cookie("abc", secure=False) == (
        b"Set-Cookie: %b=abc; Path=/admin; Max-Age=43200; HttpOnly; SameSite=Strict\r\n" % COOKIE.encode()
    )
    assert cookie("", secure=True).endswith(b"=; Path=/admin; Max-Age=0; HttpOnly; SameSite=Strict; Secure\r\n")
