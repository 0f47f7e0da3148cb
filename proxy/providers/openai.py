"""A provider that speaks the OpenAI API: where it is, with which credentials, and what it may be sent.

Compiled once from the configuration; the request heads are templates, so that a request costs one
concatenation.
"""

from __future__ import annotations

import re

from yarl import URL

from proxy.config.schema import Provider as Settings
from proxy.providers.keys import Key
from proxy.providers.state import ProviderState
from proxy.wire.redaction import Redactor

_JSON = b"Content-Type: application/json\r\n"
_is_credential = re.compile("auth|key|token|secret|passw|cookie", re.IGNORECASE).search


class Provider:
    """``settings`` with everything that does not change from request to request worked out."""

    __slots__ = (
        "call_end",
        "configured",
        "configured_json",
        "forwarded",
        "keys",
        "learnt",
        "name",
        "open",
        "passthrough",
        "redact",
        "settings",
        "sites",
        "via",
    )

    def __init__(
        self, name: str, settings: Settings, state: ProviderState, *, version: str, open_: bool, via: bytes = b""
    ) -> None:
        """``state`` outlives it. ``via`` is the gateway's own line of that name, unless the configuration has one for
        this provider.
        """
        self.name = name
        self.settings = settings
        self.open = open_  # lists no models of its own, so any name is handed on
        self.passthrough = tuple(_rule(entry) for entry in settings.passthrough)
        self.forwarded = frozenset(name.lower().encode() for name in settings.forward_headers)
        # What the client may not send as well: a header must not stand there twice.
        self.configured = frozenset(name.lower().encode() for name in settings.headers)
        self.via = via if b"via" not in self.configured else b""
        # What follows the head of a JSON call: the client's lines, the request's id, the body's length.
        self.call_end = b"%b%b" + self.via + b"x-request-id: %b\r\nContent-Length: %d\r\n\r\n"
        self.configured_json = self.configured | {b"content-type"}
        self.keys = state.keys
        self.learnt = state.learnt
        # Strikes our credentials out of what the provider says.
        headers = (_bare(value) for name, value in settings.headers.items() if _is_credential(name))
        self.redact = Redactor((*settings.keys, *headers))
        self.sites = tuple(Site(self, address, version) for address in settings.addresses)

    def __repr__(self) -> str:
        return f"<Provider {self.name}>"

    def allows(self, method: str, path: str) -> bool:
        """Whether ``passthrough`` lists this request; ``path`` without a leading slash."""
        return any(
            method == allowed and (not prefix or path == prefix or path.startswith(prefix.rstrip("/") + "/"))
            for allowed, prefix in self.passthrough
        )


class Site:
    """One address of a provider, with the heads of the requests that go there."""

    __slots__ = ("_calls", "_lines", "_path", "base_url", "provider")

    def __init__(self, provider: Provider, base_url: str, version: str) -> None:
        self.provider = provider
        self.base_url = base_url
        url = URL(base_url)
        self._path = url.raw_path.rstrip("/")
        self._lines = _own_lines(url.host_port_subcomponent or "", version, provider.settings)
        self._calls: dict[tuple[str, int], bytes] = {}

    def __repr__(self) -> str:
        return f"<Site {self.base_url} of {self.provider.name}>"

    def head(self, method: str, path: str, key: Key, query: str = "") -> bytes:
        """Request line and our own header lines; the client's, the framing and the blank line follow.

        ``path`` is relative to the base URL, without a leading slash.
        """
        target = f"{self._path}/{path}?{query}" if query else f"{self._path}/{path}"
        return b"%b %b HTTP/1.1\r\n%b%b" % (method.encode(), target.encode("ascii"), self._lines, key.line)

    def call_head(self, path: str, key: Key, query: str = "") -> bytes:
        """The same for a JSON call; without a query it is made once per key and path of the endpoint table."""
        head = None if query else self._calls.get((path, key.number))
        if head is None:
            head = self.head("POST", path, key, query)
            if b"content-type" not in self.provider.configured:
                head += _JSON
            if not query:
                self._calls[path, key.number] = head
        return head


def _own_lines(authority: str, version: str, settings: Settings) -> bytes:
    lines = {
        "Host": authority,
        "User-Agent": f"sluice/{version}",
        # Compressed events would arrive in lumps and cost us an inflater per stream.
        "Accept-Encoding": "identity",
    }
    names = {name.lower(): name for name in lines}
    for name, value in settings.headers.items():
        lines[names.get(name.lower(), name)] = value
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")


def _bare(value: str) -> str:
    """The credential of a header value, without its scheme."""
    scheme, _, rest = value.partition(" ")
    return rest.strip() if scheme.lower() in ("bearer", "basic", "token") else value


def _rule(entry: str) -> tuple[str, str]:
    method, _, prefix = entry.partition(" ")
    return method.upper(), prefix.strip().lstrip("/")
