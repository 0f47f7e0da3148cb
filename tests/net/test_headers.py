from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.net import headers as policy
from proxy.net.headers import Verdicts, ascii_value, provider_verdicts, serialize, to_client

Lines = list[tuple[bytes, bytes]]


def to_provider(raw: Lines, forwarded: frozenset[bytes] = frozenset(), **options: Any) -> bytes:
    return serialize(raw, provider_verdicts(forwarded, **options))


def line(name: str, value: bytes = b"v") -> Lines:
    return [(name.encode(), value)]


def passes_out(name: str, *forwarded: str, opaque: bool = False) -> bool:
    lines = to_provider(line(name), frozenset(each.encode() for each in forwarded), opaque=opaque)
    assert lines in (b"", name.encode() + b": v\r\n")
    return bool(lines)


def passes_in(name: str, *, opaque: bool = False, without_type: bool = False) -> bool:
    lines = to_client(line(name), opaque=opaque, without_type=without_type)
    assert lines in (b"", name.encode() + b": v\r\n")
    return bool(lines)


HOP_BY_HOP = ["Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE",
              "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings"]  # fmt: skip
CREDENTIALS = ["Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Proxy-Authorization"]
OWN = ["Host", "Content-Length", "Accept-Encoding", "User-Agent", "Expect", "X-Request-Id"]


# To the provider


@pytest.mark.parametrize(
    "name",
    ["Content-Type", "content-type", "CONTENT-TYPE", "Content-Language", "Accept", "Accept-Language", "OpenAI-Beta",
     "Anthropic-Version", "anthropic-beta", "X-Stainless-Lang", "HTTP-Referer", "X-Title", "Idempotency-Key",
     "traceparent", "tracestate"],
)  # fmt: skip
def test_headers_for_the_provider_keep_their_spelling(name: str) -> None:
    assert passes_out(name)
    assert passes_out(name, opaque=True)


@pytest.mark.parametrize(
    "name",
    [*HOP_BY_HOP, *CREDENTIALS, *OWN, "Content-Encoding", "Origin", "Referer", "X-Forwarded-For", "X-Real-Ip", "X-Custom",
     "OpenAI-Organization", "OpenAI-Project", "OpenAI-Api-Key", "Anthropic-Auth-Token", "X-Router-Model", "Set-Cookie"],
)  # fmt: skip
def test_other_headers_are_not_forwarded_to_a_provider(name: str) -> None:
    assert not passes_out(name)


@pytest.mark.parametrize("name", ["X-Custom", "OpenAI-Organization", "OpenAI-Project", "X-Auth-Token"])
def test_forward_headers_allow_a_name(name: str) -> None:
    assert passes_out(name, name.lower())
    assert not passes_out(name, "x-other")


@pytest.mark.parametrize("name", [*HOP_BY_HOP, *CREDENTIALS, *OWN])
@pytest.mark.parametrize("opaque", [False, True])
def test_forward_headers_never_allow_credentials_or_framing(name: str, opaque: bool) -> None:
    assert not passes_out(name, name.lower(), opaque=opaque)
    assert not passes_out(name.upper(), name.lower(), opaque=opaque)


def test_content_encoding_is_forwarded_only_with_an_undecoded_body() -> None:
    assert not passes_out("Content-Encoding", "content-encoding")
    assert passes_out("Content-Encoding", opaque=True)
    assert not passes_in("Content-Encoding")
    assert passes_in("Content-Encoding", opaque=True)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_configured_header_is_not_sent_twice(opaque: bool) -> None:
    raw = [(b"X-TITLE", b"theirs"), (b"Accept", b"a")]
    assert to_provider(raw, own=frozenset({b"x-title"}), opaque=opaque) == b"Accept: a\r\n"
    assert to_provider(raw, frozenset({b"x-title"}), own=frozenset({b"x-title"})) == b"Accept: a\r\n"


@pytest.mark.parametrize(
    "name",
    ["Range", "If-Match", "If-None-Match", "If-Range", "If-Modified-Since", "Content-Range", "Content-Disposition",
     "X-Goog-Upload-Command", "x-goog-upload-offset", "Content-Encoding"],
)  # fmt: skip
def test_passthrough_forwards_headers_of_files(name: str) -> None:
    assert passes_out(name, opaque=True)
    assert not passes_out(name)


@pytest.mark.parametrize("name", ["X-Custom", "X-Max-Tokens", "X-HTTP-Method-Override", "X-Original-URL", "X-Session-Id",
                                  "Cache-Control", "X-Rewrite-Url", "X-Goog-User-Project", "X-Amz-Date"])  # fmt: skip
def test_passthrough_forwards_other_headers_only_if_forward_headers_names_them(name: str) -> None:
    assert not passes_out(name, opaque=True)
    assert passes_out(name, name.lower(), opaque=True)


@pytest.mark.parametrize(
    "name",
    [*HOP_BY_HOP, *CREDENTIALS, *OWN, "X-Auth-Token", "X-Amz-Security-Token", "Ocp-Apim-Subscription-Key", "X-Access-Key",
     "X-Client-Secret", "X-ApiKey", "xi-api-key", "X-Amzn-Authorization", "Cookie2", "OpenAI-Organization", "Origin",
     "Referer", "Sec-Fetch-Site", "X-Forwarded-For", "Forwarded", "CF-Connecting-IP", "X-Router-Model"],
)  # fmt: skip
def test_passthrough_does_not_forward_credentials_or_addresses(name: str) -> None:
    assert not passes_out(name, opaque=True)


def test_order_and_repetition_are_kept() -> None:
    raw = [
        (b"Accept", b"a/b"),
        (b"Cookie", b"secret"),
        (b"OpenAI-Beta", b"one"),
        (b"accept", b"c/d"),
        (b"OpenAI-Beta", b""),
    ]
    assert to_provider(raw) == b"Accept: a/b\r\nOpenAI-Beta: one\r\naccept: c/d\r\nOpenAI-Beta: \r\n"


@pytest.mark.parametrize(
    "value", [b"X-Title", b"x-title", b"keep-alive, X-TITLE", b"close,\tx-title ,", b"foo,x-title"]
)
def test_a_header_named_in_connection_is_dropped(value: bytes) -> None:
    raw = [(b"X-Title", b"t"), (b"Accept", b"a"), (b"connection", value)]
    assert to_provider(raw) == b"Accept: a\r\n"
    assert to_provider(reversed_(raw)) == b"Accept: a\r\n"
    assert to_client(raw) == b"Accept: a\r\n"


def reversed_(raw: Lines) -> Lines:
    return raw[::-1]


def test_several_connection_lines_all_count() -> None:
    raw = [(b"Connection", b"x-title"), (b"Connection", b"keep-alive"), (b"Connection", b"accept"),
           (b"X-Title", b"t"), (b"Accept", b"a"), (b"Content-Type", b"c")]  # fmt: skip
    assert to_provider(raw) == b"Content-Type: c\r\n"


def test_the_usual_connection_line_drops_only_itself() -> None:
    assert to_provider([(b"Connection", b"keep-alive"), (b"Accept", b"a")]) == b"Accept: a\r\n"


# To the client


@pytest.mark.parametrize(
    "name",
    ["Content-Type", "Content-Disposition", "Content-Language", "Retry-After", "retry-after-ms", "x-should-retry", "Date",
     "Server", "Via", "ETag", "Vary", "openai-processing-ms", "openai-version", "request-id", "Location", "Cache-Control",
     "Accept-Ranges", "X-Custom"],
)  # fmt: skip
def test_headers_that_describe_the_answer_are_forwarded(name: str) -> None:
    assert passes_in(name)
    assert passes_in(name, opaque=True)


@pytest.mark.parametrize(
    "name",
    [*HOP_BY_HOP, "Content-Length", "Set-Cookie", "set-cookie", "SET-COOKIE2", "WWW-Authenticate", "Alt-Svc",
     "Strict-Transport-Security", "Content-Security-Policy", "Access-Control-Allow-Origin", "Refresh", "Clear-Site-Data",
     "X-Frame-Options", "NEL", "openai-organization", "OpenAI-Project", "anthropic-organization-id", "x-request-id",
     "X-RateLimit-Limit", "x-ratelimit-reset", "RateLimit", "CF-RAY",
     "x-envoy-upstream-service-time", "x-amzn-requestid", "x-amz-id-2", "x-ms-region", "azureml-model-session",
     "apim-subscription-id", "X-Router-Provider", "X-Accel-Redirect", "X-Accel-Buffering", "X-Sendfile",
     "X-Content-Type-Options", "x-litellm-key-spend"],
)  # fmt: skip
@pytest.mark.parametrize("opaque", [False, True])
def test_headers_about_the_providers_account_and_machines_are_dropped(name: str, opaque: bool) -> None:
    assert not passes_in(name, opaque=opaque)


@pytest.mark.parametrize(
    "name",
    [
        "x-ratelimit-remaining-tokens",
        "X-RateLimit-Limit-Requests",
        "anthropic-ratelimit-requests-limit",
        "apim-request-id",
    ],
)
def test_passthrough_shows_the_providers_limits_and_request_id(name: str) -> None:
    assert passes_in(name, opaque=True)
    assert not passes_in(name)


def test_content_type_is_left_out_if_the_caller_writes_its_own() -> None:
    assert not passes_in("Content-Type", without_type=True)
    assert passes_in("X-Custom", without_type=True)


@pytest.mark.parametrize("kind", [b"text/event-stream", b"Text/Event-Stream; charset=utf-8"])
def test_cache_control_of_an_event_stream_is_dropped(kind: bytes) -> None:
    raw = [(b"Cache-Control", b"max-age=9"), (b"Content-Type", kind), (b"cache-control", b"public")]
    assert to_client(raw) == b"Content-Type: " + kind + b"\r\n"


def test_other_answers_keep_their_cache_control() -> None:
    raw = [(b"Cache-Control", b"no-store"), (b"Content-Type", b"audio/mpeg"), (b"Set-Cookie", b"a=b")]
    assert to_client(raw) == b"Cache-Control: no-store\r\nContent-Type: audio/mpeg\r\n"


def test_connection_may_name_cache_control() -> None:
    assert to_client([(b"Cache-Control", b"no-store"), (b"Connection", b"cache-control")]) == b""


# Whatever comes

names = st.sampled_from(
    [b"Accept", b"X-Title", b"Connection", b"Cache-Control", b"Content-Type", b"Set-Cookie", b"Retry-After", b"X-New"]
)
anything = st.binary(max_size=20)
rough = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\0", b": ", b",", b"x-title", b"text/event-stream"])).map(
    b"".join
)


@given(
    st.lists(st.tuples(st.one_of(names, anything, rough), st.one_of(anything, rough)), max_size=8),
    st.booleans(),
)
@example([(b"Accept", b"a\r\nX-Evil: 1")], False)
@example([(b"Accept", b"a\n")], False)
@example([(b"Accept", b"a\r")], False)
@example([(b"Accept\r\nX-Evil", b"1")], True)
@example([(b"X-New", b"a\nb"), (b"Cache-Control", b"\r\n\r\nbody")], True)
def test_no_name_or_value_can_inject_a_line(raw: Lines, opaque: bool) -> None:
    given_lines = {b"%b: %b" % pair for pair in raw}
    for block in (to_provider(raw, opaque=opaque), to_client(raw, opaque=opaque)):
        if not block:
            continue
        *lines, last = block.split(b"\r\n")
        assert last == b""
        for each in lines:
            assert each in given_lines
            assert not {*each} & {*b"\r\n\0"}


def test_an_invalid_value_drops_only_its_own_line() -> None:
    raw = [(b"Accept", b"a"), (b"X-Title", b"t\r\nCookie: c"), (b"Content-Type", b"c")]
    assert to_provider(raw) == b"Accept: a\r\nContent-Type: c\r\n"


@given(st.lists(st.sampled_from([*CREDENTIALS, *HOP_BY_HOP, "Host", "Content-Length"]), min_size=1), st.data())
def test_no_spelling_of_a_credential_is_forwarded(chosen: list[str], data: st.DataObject) -> None:
    raw = [
        ("".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in name).encode(), b"secret")
        for name in chosen
    ]
    assert to_provider(raw, opaque=True) == b""
    assert to_provider(raw, frozenset(name.lower() for name, _ in raw)) == b""


def test_the_memory_of_verdicts_is_bounded_in_number_and_length() -> None:
    asked: list[bytes] = []

    def judge(name: bytes) -> bool:
        asked.append(name)
        return True

    verdicts = Verdicts(judge)
    for number in range(5 * verdicts.most):
        assert verdicts[b"X-%d" % number] == b"X-%d: " % number
        assert len(verdicts) <= verdicts.most
    kept = len(verdicts)
    assert verdicts[b"X" * (Verdicts.MAX_LENGTH + 1)]
    assert len(verdicts) == kept


def test_a_spelling_is_judged_once() -> None:
    asked: list[bytes] = []

    def judge(name: bytes) -> bool:
        asked.append(name)
        return True

    verdicts = Verdicts(judge)
    for name in (b"Accept", b"Accept", b"ACCEPT", b"Accept", b"bad name"):
        verdicts[name]
    assert asked == [b"accept", b"accept"]
    assert verdicts[b"bad name"] == policy.DROP


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("forwarded", [frozenset(), frozenset({b"traceparent", b"tracestate"})])
def test_the_clients_traceparent_of_a_traced_request_is_not_forwarded(
    opaque: bool, forwarded: frozenset[bytes]
) -> None:
    raw = [(b"TraceParent", b"a"), (b"Accept", b"b"), (b"tracestate", b"c")]
    assert to_provider(raw, forwarded, opaque=opaque, traced=True) == b"Accept: b\r\n"
    assert to_provider(raw, forwarded, opaque=opaque) == b"TraceParent: a\r\nAccept: b\r\ntracestate: c\r\n"


def test_many_distinct_names_do_not_change_the_verdicts() -> None:
    verdicts = provider_verdicts(frozenset())
    for number in range(2 * verdicts.most):
        to_provider([(b"X-Filler-%d" % number, b""), (b"Accept", b"a")])
    assert to_provider([(b"Accept", b"a"), (b"Authorization", b"b")]) == b"Accept: a\r\n"
    assert len(verdicts) <= verdicts.most


@pytest.mark.parametrize("table", [policy._NEVER_TO_PROVIDER, policy._TO_PROVIDER, policy._NEVER_TO_CLIENT,
                                   policy._TO_PROVIDER_OPAQUE, policy._TO_CLIENT_OPAQUE, policy._ONLY_IF_CONFIGURED, policy._NEVER_IF_TRACED])  # fmt: skip
def test_the_tables_are_in_lower_case(table: dict[str, str]) -> None:
    assert all(names == names.lower() for names in table.values())


# Values of our own


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("deepseek/deepseek-r1:free", b"deepseek/deepseek-r1:free"),
        ("my provider", b"my provider"),
        ("größe", b"gr%C3%B6%C3%9Fe"),
        ("a\r\nSet-Cookie: x", b"a%0D%0ASet-Cookie: x"),
        ("50%", b"50%25"),
        ("tab\there\x7f\0", b"tab%09here%7F%00"),
        ("\ud800", b"?"),
        ("", b""),
    ],
)
def test_a_value_is_printable_ascii(text: str, value: bytes) -> None:
    assert ascii_value(text) == value


@given(st.text(), st.integers(0, 40))
def test_a_value_is_never_too_long_and_never_cut_within_a_character(text: str, limit: int) -> None:
    value = ascii_value(text, limit)
    assert len(value) <= limit
    assert all(0x20 <= byte < 0x7F for byte in value)
    assert text.startswith(unquote(value.decode(), errors="strict"))
