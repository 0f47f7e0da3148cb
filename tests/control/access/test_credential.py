"""The admin token and the sessions that a browser gets for it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.schema import Admin
from proxy.control.access.credential import COOKIE, SESSION_SECS, AdminCredential, session_cookie


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


def test_a_configured_token_needs_no_token_file(credential: AdminCredential) -> None:
    assert (credential.token, credential.generated) == ("right", False)
    assert not Path("/nowhere").exists()


def test_a_generated_token_survives_a_restart(tmp_path: Path) -> None:
    first, second = (AdminCredential(Admin(), str(tmp_path)) for _ in range(2))
    assert first.generated
    assert first.is_token(second.token)
    assert second.check_session(first.new_session()) == "valid"


def test_repr_does_not_contain_the_token(credential: AdminCredential) -> None:
    assert "right" not in repr(credential)


def test_the_login_link_encodes_any_token() -> None:
    credential = AdminCredential(Admin(token="a&b=c+d %/#"), "")
    path, _, query = credential.login_path.partition("?")
    assert (path, parse_qs(query)) == ("/admin/login", {"token": ["a&b=c+d %/#"]})


@given(st.text())
def test_any_other_text_is_not_the_token(text: str) -> None:
    assert AdminCredential(Admin(token="right"), "").is_token(text) == (text == "right")


def test_text_with_lone_surrogates_is_not_the_token(credential: AdminCredential) -> None:
    assert not credential.is_token("right\udcff")
    assert not credential.is_token("\ud800")


def test_a_session_ends_after_twelve_hours(credential: AdminCredential, wall: Wall) -> None:
    session = credential.new_session()
    wall.now += SESSION_SECS - 1
    assert credential.check_session(session) == "valid"
    wall.now += 1
    assert credential.check_session(session) == "expired"


def test_a_session_does_not_contain_the_token(credential: AdminCredential) -> None:
    assert "right" not in credential.new_session()


def test_two_sessions_at_the_same_time_differ(credential: AdminCredential) -> None:
    one, other = credential.new_session(), credential.new_session()
    credential.end_session(one)
    assert (credential.check_session(one), credential.check_session(other)) == ("expired", "valid")


def test_a_new_token_ends_every_session(credential: AdminCredential, wall: Wall) -> None:
    assert AdminCredential(Admin(token="changed"), "", wall).check_session(credential.new_session()) == "forged"


def test_an_ended_session_is_forgotten_after_its_expiry(credential: AdminCredential, wall: Wall) -> None:
    for _ in range(5):
        credential.end_session(credential.new_session())
    wall.now += SESSION_SECS
    credential.end_session(credential.new_session())
    assert len(credential._ended) == 1


def test_invalid_sessions_are_not_remembered(credential: AdminCredential) -> None:
    expires, _, signature = credential.new_session().split(".")
    for number in range(100):
        credential.end_session(f"{expires}.{number}.{signature}")
    assert not credential._ended


def test_a_changed_session_is_not_valid(credential: AdminCredential) -> None:
    expires, number, signature = credential.new_session().split(".")
    for forged in (
        f"{int(expires) + 1}.{number}.{signature}",
        f"{expires}.{number}x.{signature}",
        f"{expires}.{number}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
    ):
        assert credential.check_session(forged) == "forged"


@given(st.text() | st.from_regex(r"[0-9]{1,14}\.[\w-]{0,4}\.[0-9a-f]{62,66}"))
def test_any_other_cookie_value_is_no_session(text: str) -> None:
    assert AdminCredential(Admin(token="right"), "").check_session(text) in ("expired", "forged")


def test_the_cookie_is_limited_to_admin_paths_and_http_only() -> None:
    assert session_cookie("abc", secure=False) == (
        b"Set-Cookie: %b=abc; Path=/admin; Max-Age=43200; HttpOnly; SameSite=Strict\r\n" % COOKIE.encode()
    )
    assert session_cookie("", secure=True).endswith(b"=; Path=/admin; Max-Age=0; HttpOnly; SameSite=Strict; Secure\r\n")
