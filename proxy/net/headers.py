"""Which header lines the gateway forwards, in both directions, as tables with reasons.

Hot path, once per request and once per answer. The verdict for a name is remembered for each spelling, so a line costs
one dictionary look-up. Everything is bytes as they came from the socket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeVar
from urllib.parse import quote

from proxy.caches import Memo

Header = tuple[bytes, bytes]

# In all tables: names in lower case, separated by spaces; one that ends with * is a prefix.

# RFC 9110 section 7.6.1, and what proxies have added to it. Trailer: none is forwarded.
_HOP_BY_HOP: Final = "connection keep-alive proxy-* te trailer transfer-encoding upgrade http2-settings"

_CREDENTIALS: Final = "authorization cookie cookie2 x-api-key api-key x-goog-api-key"

_NEVER_TO_PROVIDER: Final = {
    "each connection has its own": _HOP_BY_HOP,
    "the credential is the gateway's": _CREDENTIALS,
    "the gateway frames the request anew": "content-length",
    "the server has answered it": "expect",
    "the gateway's own line stands in the head": "host user-agent accept-encoding x-request-id",
}

_TO_PROVIDER: Final = {
    "what the content is, and in which form an answer is wanted": (
        "content-type content-language accept accept-language"
    ),
    "OpenRouter's names for the calling application": "http-referer x-title",
    "the client's protection against running twice": "idempotency-key",
    "W3C Trace Context": "traceparent tracestate",
    "the gateways before this one, which find loops by it (RFC 9110 7.6.3)": "via",
}

# For a provider that gets the request in another dialect, they mean nothing, or what the client did not mean.
_TO_PROVIDER_UNTRANSLATED: Final = {
    "options of the dialects": "openai-* anthropic-*",
    "the SDKs identify themselves to providers": "x-stainless-*",
}

_ONLY_IF_CONFIGURED: Final = {
    # They choose among the accounts of the caller's credential, and that one is not sent.
    "the caller's own account": "openai-organization openai-project",
}

_NEVER_IF_TRACED: Final = {"each attempt writes its own": "traceparent tracestate"}

# Bodies under passthrough go on as they came; all others are decoded on the way.
_NEVER_UNLESS_OPAQUE: Final = {"the gateway decodes bodies": "content-encoding"}

# Passthrough: what calls may send, and what files need. Anything else is for ``forwardHeaders``.
_TO_PROVIDER_OPAQUE: Final = {
    "how the body is coded, and which part of a whole it is": (
        "content-encoding content-range content-disposition content-md5 content-digest repr-digest"
    ),
    "parts of a file, and only if it has changed (RFC 9110 13 and 14)": "range if-*",
    "Google's resumable uploads": "x-goog-upload-*",
}

_NEVER_TO_CLIENT: Final = {
    "each connection has its own": _HOP_BY_HOP,
    "the gateway frames the answer anew": "content-length",
    "state between the provider and us": "set-cookie set-cookie2 clear-site-data",
    "the gateway authenticates to the provider": "www-authenticate authentication-info",
    "the provider's account": (
        "openai-organization openai-project anthropic-organization-id anthropic-priority-* anthropic-ratelimit-*"
        " x-ratelimit-* x-rate-limit-* ratelimit ratelimit-* x-litellm-key-*"
    ),
    "the provider's machines and clouds": (
        "cf-* x-envoy-* x-amz-* x-amzn-* x-ms-* apim-* azureml-* x-azure-* x-goog-* x-served-by x-cloud-trace-context"
    ),
    "written by the gateway itself": "x-request-id x-router-* x-content-type-options",
    # A front proxy obeys them: nginx would serve a file that the provider names.
    "instructions to a front proxy": "x-accel-* x-sendfile x-lighttpd-send-file x-litespeed-* x-reproxy-url",
    # They would apply to the gateway's host name, and to everything else that is served there.
    "instructions to browsers, meant for the provider's site": (
        "access-control-* alt-svc strict-transport-security content-security-policy"
        " content-security-policy-report-only cross-origin-* x-frame-options x-xss-protection permissions-policy"
        " feature-policy referrer-policy origin-agent-cluster service-worker-allowed refresh accept-ch critical-ch"
        " report-to reporting-endpoints nel expect-ct public-key-pins public-key-pins-report-only"
        " speculation-rules x-dns-prefetch-control x-permitted-cross-domain-policies"
    ),
}
# Passthrough is the provider's own API, whose clients use these to pace themselves.
_TO_CLIENT_OPAQUE: Final = {
    "the provider's rate limits": "x-ratelimit-* anthropic-ratelimit-*",
    "needed by Azure's support": "apim-request-id",
}
_NEVER_TO_CLIENT_OPAQUE: Final = {"the gateway's own": "x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset"}
# All else passes: Retry-After and x-should-retry steer the client's SDK, Date and Server belong to the origin
# (RFC 9110 section 6.6.1), and processing times and versions are harmless.

_IS_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch  # RFC 9110 section 5.6.2

_NAMES_A_CREDENTIAL: Final = re.compile(
    rb"api-?key|access-?key|subscription-key|secret|passw|credential|cookie|authoriz|(?:^|-)(?:auth|token|jwt)(?:$|-)"
).search


class _Names:
    """Exact names and prefixes, from a table."""

    def __init__(self, *tables: Mapping[str, str]) -> None:
        names = [name.encode() for table in tables for line in table.values() for name in line.split()]
        self._exact = frozenset(name for name in names if not name.endswith(b"*"))
        self._prefixes = tuple(name[:-1] for name in names if name.endswith(b"*"))

    def __contains__(self, name: bytes) -> bool:
        return name in self._exact or name.startswith(self._prefixes)


# Verdicts: DROP, LOOK (it depends on the value, or on other lines), or the beginning of the line to forward.
DROP: Final = b""
LOOK: Final = None  # in hot code by its name None, which is no look-up
Verdict = bytes | None

_CONNECTION: Final = b"connection"
_CACHE_CONTROL: Final = b"cache-control"
USUAL_CONNECTION: Final = frozenset((b"keep-alive", b"Keep-Alive", b"close", b"Close"))  # they name no header


T = TypeVar("T")


class NameMemo(Memo[bytes, T]):
    """A memo by the spelling of a field's name, or of a short value. Long keys are not cached, as peers choose them."""

    MAX_LENGTH: Final = 64

    def is_cacheable(self, key: bytes) -> bool:
        return len(key) <= self.MAX_LENGTH


class Verdicts(NameMemo[Verdict]):
    """``passes`` says whether a header of this lower-case name is forwarded; ``None``: it depends."""

    def __init__(self, passes: Callable[[bytes], bool | None]) -> None:
        super().__init__()
        self._passes = passes

    def compute(self, key: bytes) -> Verdict:
        passes = _IS_TOKEN(key) is not None and self._passes(key.lower())
        return LOOK if passes is None else key + b": " if passes else DROP


@lru_cache(maxsize=256)
def provider_verdicts(
    forwarded: frozenset[bytes] = frozenset(),
    own: frozenset[bytes] = frozenset(),
    opaque: bool = False,
    traced: bool = False,
    translated: bool = False,
) -> Verdicts:
    """Verdicts for the client's header lines, of which a provider may see few.

    An allow-list, extended by the provider's ``forwardHeaders`` (lower case) as ``forwarded``. These cannot add
    credentials, framing, or what the gateway writes itself. ``own``: names (lower case) that the configuration sets for
    this provider, so that none is sent twice. ``opaque`` (passthrough): the body is forwarded as it came, and so are
    headers of files. ``traced``: the caller writes the lines of W3C Trace Context. ``translated``: the provider gets
    the request in another dialect.
    """
    never = _Names(_NEVER_TO_PROVIDER, {} if opaque else _NEVER_UNLESS_OPAQUE, _NEVER_IF_TRACED if traced else {})
    of_dialect = {} if translated else _TO_PROVIDER_UNTRANSLATED
    allowed = _Names(_TO_PROVIDER, of_dialect, _TO_PROVIDER_OPAQUE if opaque else {})
    configured = _Names(_ONLY_IF_CONFIGURED)

    def judge(name: bytes) -> bool | None:
        if name == _CONNECTION:
            return None
        if name in never or name in own:
            return False
        if name in forwarded:
            return True
        if name in configured or _NAMES_A_CREDENTIAL(name):
            return False
        return name in allowed

    return Verdicts(judge)


@lru_cache(maxsize=4)
def _inbound(opaque: bool, without_type: bool) -> Verdicts:
    never = _Names(
        _NEVER_TO_CLIENT,
        {} if opaque else _NEVER_UNLESS_OPAQUE,
        {"the caller writes its own": "content-type"} if without_type else {},
    )

    shown = _Names(_TO_CLIENT_OPAQUE if opaque else {})
    ours = _Names(_NEVER_TO_CLIENT_OPAQUE)

    def judge(name: bytes) -> bool | None:
        if name in (_CONNECTION, _CACHE_CONTROL):
            return None
        return name not in never or (name in shown and name not in ours)

    return Verdicts(judge)


TO_CLIENT: Final = _inbound(opaque=False, without_type=False)  # of most answers


def to_client(raw: Sequence[Header], *, opaque: bool = False, without_type: bool = False) -> bytes:
    """The provider's header lines that the client may see, serialized.

    ``opaque`` (passthrough): the body is forwarded as it came, with its Content-Encoding, and the client sees the
    provider's rate limits. ``without_type``: the caller writes its own Content-Type. Cache-Control of an event stream
    is dropped, as the gateway writes its own.
    """
    return serialize(raw, _inbound(opaque, without_type))


def serialize(raw: Sequence[Header], verdicts: Verdicts) -> bytes:
    """The header lines that ``verdicts`` forward: ``Name: value CRLF`` each."""
    lines, verdict_of = [], verdicts.__getitem__
    for name, value in raw:
        beginning = verdict_of(name)
        if beginning:
            lines.append(beginning + value)
        elif beginning is None and value not in USUAL_CONNECTION:
            return _serialize_slowly(raw, verdicts)
    return joined(lines)


def joined(lines: list[bytes]) -> bytes:
    """A block of ``lines``, without any that holds a line break. The list is used up."""
    text = b"".join(lines)
    # The parsers on both sides refuse such values. Header injection must not depend on that.
    if 10 in text or 13 in text or 0 in text:  # LF, CR, NUL: each a fast search of memory
        lines = [line for line in lines if not _breaks(line)]
    lines.append(b"")  # for the last line's CR LF
    return b"\r\n".join(lines)


def _serialize_slowly(raw: Sequence[Header], verdicts: Verdicts) -> bytes:
    """For Connection that names other headers, and for Cache-Control."""
    named: set[bytes] = set()
    streams = False
    for name, value in raw:
        lower = name.lower()
        if lower == _CONNECTION:
            named.update(option.strip(b" \t").lower() for option in value.split(b","))
        elif lower == b"content-type":
            streams = streams or value.lstrip().lower().startswith(b"text/event-stream")
    if streams:
        named.add(_CACHE_CONTROL)
    return b"".join(
        b"%b: %b\r\n" % (name, value)
        for name, value in raw
        if (lower := name.lower()) not in named
        and (verdicts[name] or (verdicts[name] is LOOK and lower == _CACHE_CONTROL))
        and not _breaks(value)
    )


def _breaks(value: bytes) -> bool:
    return b"\r" in value or b"\n" in value or 0 in value


_PLAIN: Final = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"  # all printable ASCII but "%", so that escapes can be undone


def ascii_value(text: str, limit: int = 2048) -> bytes:
    """A header value of printable ASCII: everything else, and ``%``, percent-encoded as UTF-8.

    At most ``limit`` bytes: cut between characters.
    """
    size, kept = 0, []
    for character in text:
        piece = quote(character, safe=_PLAIN, errors="replace")
        size += len(piece)
        if size > limit:
            break
        kept.append(piece)
    return "".join(kept).encode("ascii")
