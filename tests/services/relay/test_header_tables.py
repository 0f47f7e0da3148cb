from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.net.headers import Header
from proxy.services.relay.header_tables import (
    answer_lines,
    answer_verdicts,
    passing_lines,
    request_verdicts,
    trailer_lines,
)

NOTHING: frozenset[bytes] = frozenset()
NAMES = st.sampled_from(
    b"Accept Cookie Host Connection Keep-Alive TE Trailer Transfer-Encoding Content-Length Upgrade Via X-A x-b".split()
) | st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", fullmatch=True)
VALUES = st.from_regex(rb"[\x21-\x7e]([\x20-\x7e]{0,20}[\x21-\x7e])?", fullmatch=True) | st.just(b"")
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


def to_service(
    *raw: Header, removed: frozenset[bytes] = NOTHING, credentials: bool = False, trusted: bool = False
) -> bytes:
    return passing_lines(raw, request_verdicts(removed, credentials, trusted))


def names_of(lines: bytes) -> list[bytes]:
    return [line.partition(b":")[0].lower() for line in lines.split(b"\r\n")[:-1]]


# -- requests --------------------------------------------------------------------------------------


def test_lines_that_no_rule_names_go_on_as_they_came() -> None:
    raw = ((b"Accept", b"*/*"), (b"cookie", b"a=b"), (b"X-Own", b""), (b"X-own", b"2"))
    assert to_service(*raw) == b"Accept: */*\r\ncookie: a=b\r\nX-Own: \r\nX-own: 2\r\n"


@pytest.mark.parametrize(
    "name",
    [
        b"Keep-Alive",
        b"proxy-connection",
        b"Proxy-Authorization",
        b"Transfer-Encoding",
        b"Content-Length",
        b"Upgrade",
        b"HTTP2-Settings",
        b"Expect",
        b"Trailer",
        b"Host",
        b"Proxy",
        b"Forwarded",
        b"X-Forwarded-For",
        b"X-Request-Id",
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_lines_of_the_connection_and_of_the_gateway_end_here(name: bytes, trusted: bool) -> None:
    assert to_service((name, b"x"), trusted=trusted) == b""


@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"Content_Length", b"x_forwarded-PROTO", b"X_Real_IP", b"Transfer_Encoding"]
)
def test_an_underscore_counts_as_a_dash(name: bytes) -> None:
    assert to_service((name, b"x")) == b""


@pytest.mark.parametrize("name", [b"X-Forwarded-User", b"x-forwarded-prefix", b"X-Real-IP"])
def test_only_a_trusted_proxy_may_say_what_proxies_say(name: bytes) -> None:
    assert to_service((name, b"x")) == b""
    assert to_service((name, b"x"), trusted=True) == name + b": x\r\n"


@pytest.mark.parametrize("name", [b"Authorization", b"X-API-Key", b"api-key", b"x-goog-api-key"])
def test_a_credential_goes_on_only_if_it_is_for_the_service(name: bytes) -> None:
    assert to_service((name, b"x")) == b""
    assert to_service((name, b"x"), credentials=True) == name + b": x\r\n"


def test_a_route_removes_lines() -> None:
    raw = ((b"X-Debug", b"1"), (b"x-debug", b"2"), (b"Accept", b"*/*"))
    assert to_service(*raw, removed=frozenset((b"x-debug",))) == b"Accept: */*\r\n"


def test_what_connection_names_ends_here() -> None:
    raw = (
        (b"Connection", b"close, X-Hop"),
        (b"connection", b"accept"),
        (b"x-hop", b"1"),
        (b"Accept", b"*"),
        (b"A", b"b"),
    )
    assert to_service(*raw) == b"A: b\r\n"


@pytest.mark.parametrize("value", [b"keep-alive", b"Keep-Alive", b"close"])
def test_connection_itself_never_goes_on(value: bytes) -> None:
    assert to_service((b"Connection", value), (b"A", b"b")) == b"A: b\r\n"


def test_te_goes_on_anew_if_trailers_are_accepted() -> None:
    wanted = b"A: b\r\nTE: trailers\r\nConnection: TE\r\n"
    assert to_service((b"TE", b"gzip;q=0.5, Trailers"), (b"Connection", b"TE"), (b"A", b"b")) == wanted
    assert to_service((b"te", b"trailers"), (b"A", b"b")) == wanted
    assert to_service((b"te", b"gzip"), (b"A", b"b")) == b"A: b\r\n"


def test_no_value_ends_a_line() -> None:
    assert to_service((b"A", b"b\r\nHost: evil"), (b"C", b"d\0"), (b"E", b"f")) == b"E: f\r\n"
    assert to_service((b"A", b"b\nc"), (b"Connection", b"x"), (b"E", b"f")) == b"E: f\r\n"


@given(FIELDS, st.booleans(), st.booleans())
def test_every_line_of_a_request_passes_whole_or_not_at_all(
    raw: list[Header], credentials: bool, trusted: bool
) -> None:
    lines = to_service(*raw, credentials=credentials, trusted=trusted)
    passed = [line for line in lines.split(b"\r\n")[:-1] if line not in (b"TE: trailers", b"Connection: TE")]
    came = [name + b": " + value for name, value in raw]
    assert [line for line in came if line in passed] == passed or set(passed) <= set(came)
    plain = {name.replace(b"_", b"-") for name in names_of(b"".join(each + b"\r\n" for each in passed))}
    assert not plain & {b"host", b"connection", b"content-length", b"transfer-encoding", b"te", b"trailer", b"upgrade"}


# -- answers ---------------------------------------------------------------------------------------


def test_an_answer_goes_on_unchanged_but_for_its_connection() -> None:
    raw = (
        (b"Server", b"s"),
        (b"Set-Cookie", b"a=b"),
        (b"set-cookie", b"c=d"),
        (b"Content-Encoding", b"br"),
        (b"X-Accel-Redirect", b"/x"),
        (b"Strict-Transport-Security", b"max-age=1"),
        (b"Content-Length", b"3"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"close"),
        (b"Keep-Alive", b"timeout=5"),
        (b"X-Request-ID", b"theirs"),
        (b"Proxy-Status", b"cache; hit"),
        (b"Trailer", b"Digest"),
    )
    assert names_of(answer_lines(raw)) == [
        *(b"server", b"set-cookie", b"set-cookie", b"content-encoding", b"x-accel-redirect"),
        *(b"strict-transport-security", b"proxy-status", b"trailer"),
    ]


def test_a_service_may_name_lines_of_its_connection() -> None:
    assert answer_lines(((b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"Cache-Control", b"no-store"))) == (
        b"Cache-Control: no-store\r\n"
    )


def test_rules_of_a_route_remove_lines_of_answers() -> None:
    verdicts = answer_verdicts(frozenset((b"server",)))
    assert passing_lines(((b"SERVER", b"x"), (b"A", b"b")), verdicts) == b"A: b\r\n"


# -- trailers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"Content-Length", b"Transfer-Encoding", b"Set-Cookie", b"Trailer", b"proxy-x", b"Host"]
)
def test_what_frames_or_authorizes_is_never_taken_from_trailers(name: bytes) -> None:
    assert trailer_lines(((name, b"x"),)) == b""


def test_other_trailers_go_on() -> None:
    assert trailer_lines(((b"Grpc-Status", b"0"), (b"Digest", b"x"))) == b"Grpc-Status: 0\r\nDigest: x\r\n"
