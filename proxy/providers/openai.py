"""A provider that speaks the OpenAI API: where it is, with which credential, and what it may be sent.

Compiled once from the configuration; the request heads are templates, so that a request costs one
concatenation.
"""

from __future__ import annotations

from msgspec import UNSET
from yarl import URL

from proxy.config.schema import Provider as Settings

_JSON = b"Content-Type: application/json\r\n"


class Provider:
    """``settings`` with everything that does not change from request to request worked out."""

    __slots__ = (
        "_calls",
        "_lines",
        "_path",
        "asks_usage",
        "configured",
        "configured_json",
        "forwarded",
        "name",
        "open",
        "passthrough",
        "secrets",
        "settings",
    )

    def __init__(self, name: str, settings: Settings, *, version: str, open_: bool) -> None:
        self.name = name
        self.settings = settings
        self.open = open_  # lists no models of its own, so any name is handed on
        self.passthrough = tuple(_rule(entry) for entry in settings.passthrough)
        self.forwarded = frozenset(name.lower().encode() for name in settings.forward_headers)
        # Whether streams are asked for their usage; "auto" is switched off when the provider refuses the option.
        self.asks_usage = settings.usage_in_stream != "never"
        # What the client may not send as well: a header must not stand there twice.
        self.configured = frozenset(name.lower().encode() for name in settings.headers)
        self.configured_json = self.configured | {b"content-type"}
        url = URL(settings.base_url)
        self._path = url.raw_path.rstrip("/")
        self._lines = self._head_lines(url.host_port_subcomponent or "", version)
        self._calls: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<Provider {self.name}>"

    def head(self, method: str, path: str, query: str = "") -> bytes:
        """Request line and our own header lines; the client's, the framing and the blank line follow.

        ``path`` is relative to the base URL, without a leading slash.
        """
        target = f"{self._path}/{path}?{query}" if query else f"{self._path}/{path}"
        return b"%b %b HTTP/1.1\r\n%b" % (method.encode(), target.encode("ascii"), self._lines)

    def call_head(self, path: str, query: str) -> bytes:
        """The same for a JSON call; without a query it is made once per path of the endpoint table."""
        head = None if query else self._calls.get(path)
        if head is None:
            head = self.head("POST", path, query) + (b"" if b"content-type" in self.configured else _JSON)
            if not query:
                self._calls[path] = head
        return head

    def allows(self, method: str, path: str) -> bool:
        """Whether ``passthrough`` lists this request; ``path`` without a leading slash."""
        return any(
            method == allowed and (not prefix or path == prefix or path.startswith(prefix.rstrip("/") + "/"))
            for allowed, prefix in self.passthrough
        )

    def _head_lines(self, authority: str, version: str) -> bytes:
        settings = self.settings
        lines = {
            "Host": authority,
            "User-Agent": f"sluice/{version}",
            # Compressed events would arrive in lumps and cost us an inflater per stream.
            "Accept-Encoding": "identity",
        }
        if settings.api_key is not UNSET and settings.api_key:
            lines["Authorization"] = f"Bearer {settings.api_key}"
        names = {name.lower(): name for name in lines}
        for name, value in settings.headers.items():
            lines[names.get(name.lower(), name)] = value
        return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")


def _rule(entry: str) -> tuple[str, str]:
    method, _, prefix = entry.partition(" ")
    return method.upper(), prefix.strip().lstrip("/")
