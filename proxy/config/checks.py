"""What a text has to be beyond its type, one function for each ``kind`` of the schema.

A check takes the text and returns it in its normal form, or raises ``ValueError`` with the complaint. No
complaint repeats a text in which a secret may stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from proxy.config.mistakes import near, quoted
from proxy.config.schema import Provider, Tls

Check = Callable[[str], str]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_LISTEN = re.compile(r"[A-Za-z0-9._-]+|\[?(?=.*:.*:)[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?\]?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@\\]+")

# RFC 9110, section 7.6.1, and what the connection itself writes.
CONNECTION_HEADERS = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
CREDENTIAL_HEADERS = frozenset(
    {"api-key", "authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key"}
)
RESERVED_PATHS = frozenset({"health", "ready", "metrics", "proxy"})


def name(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must not begin or end with a space or hold control characters")
    return text


def new_provider(text: str) -> str:
    # It stands in paths (/proxy/{provider}/...) and before the slash in provider/model.
    if not _PROVIDER.fullmatch(text):
        raise ValueError("a provider's name has letters, digits, dots, dashes and underscores only")
    return text


def base_url(text: str) -> str:
    complaint = _not_an_address(text)
    if complaint:
        raise ValueError(complaint)
    return text.rstrip("/")


def is_url(text: str) -> bool:
    """Whether a text that may name a file or an address is an address."""
    return text.lower().startswith(("http://", "https://"))


def list_url(text: str) -> str:
    # Unlike a provider's address it may have a query: signed links do.
    address, _, query = text.partition("?")
    if "@" in address:
        raise ValueError("must not hold a user or password")
    if "#" in text or " " in query or not query.isascii() or not query.isprintable():
        raise ValueError("must be printable ASCII text without spaces and #")
    if complaint := _not_an_address(address):
        raise ValueError(complaint)
    return text


def _not_an_address(text: str) -> str:
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        return "must not hold spaces, backslashes or control characters"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no valid address"
    if parts.scheme not in ("http", "https") or not text.lower().startswith(f"{parts.scheme}://"):
        return "expected an address that begins with http:// or https://"
    if "@" in parts.netloc:
        return "must not hold a user or password: credentials belong into apiKey or headers"
    if not host or port == 0:
        return "names no host" if not host else "names no usable port"
    if "?" in text or "#" in text:
        return "must end with its path, without ? and #"
    return _unclean(parts.path)


def _unclean(path: str) -> str:
    if not path.isascii():
        return "the path must be percent-encoded"
    if "//" in path or any(segment in (".", "..") for segment in unquote(path).split("/")):
        return "the path must not hold empty or dot segments"
    return ""


def base_path(text: str) -> str:
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path) or _unclean(path):
        raise ValueError("expected a path such as /api/v1")
    if path.split("/")[1] in RESERVED_PATHS:
        raise ValueError(f"/{path.split('/')[1]} is the gateway's own path")
    return path


def listen_host(text: str) -> str:
    if not _LISTEN.fullmatch(text):
        raise ValueError("expected an IP address or a host name, without a port")
    return text.strip("[]")


def allowed_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("expected a host name as it stands in a URL, without scheme and port")
    return text.lower()


def origin(text: str) -> str:
    if text != "*" and not _ORIGIN.fullmatch(text.lower().rstrip("/")):
        raise ValueError('expected an origin such as https://chat.example.org, or "*"')
    return text.lower().rstrip("/")


def header(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("is no header name")
    if text.lower() in CONNECTION_HEADERS:
        raise ValueError("this header belongs to the connection and cannot be set")
    return text


def forward_header(text: str) -> str:
    if header(text).lower() in CREDENTIAL_HEADERS:
        raise ValueError(f"{text} carries a client's credential and is never passed on")
    return text


def header_value(text: str) -> str:
    if not text.isascii() or not text.replace("\t", " ").isprintable():
        raise ValueError("a header's value is printable ASCII text on one line")
    return text.strip()


def key(text: str) -> str:
    key = text.strip()  # a newline at the end of a pasted key helps nobody
    if not key.isascii() or not key.isprintable():
        raise ValueError("a key is printable ASCII text on one line")
    return key


def passthrough(text: str) -> str:
    method, _, prefix = text.strip().partition(" ")
    method, prefix = method.upper(), prefix.strip()
    if not re.fullmatch(r"[A-Z]+", method) or not re.fullmatch(r"/[!$&'()*+,;=:@A-Za-z0-9._~%/-]*", prefix):
        raise ValueError('expected a method and a path prefix, such as "GET /files"')
    if method in ("CONNECT", "TRACE"):
        raise ValueError(f"{method} is never relayed")
    if complaint := _unclean(prefix):
        raise ValueError(complaint)
    return f"{method} {prefix}"


def hook(text: str) -> str:
    module, _, attribute = text.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise ValueError("expected package.module:attribute")
    return text


def kinds(folder: Path, providers: Mapping[str, object] | None) -> dict[str, Check]:
    """Every kind's check, for a file in ``folder`` and these providers (``None``: not known, any will do)."""

    def file(text: str) -> str:
        path = folder / text
        if text and not path.is_file():
            raise ValueError(f"no such file: {path}")
        return str(path) if text else ""

    def known_provider(text: str) -> str:
        if providers is not None and text not in providers:
            raise ValueError(f"no provider {quoted(text)}{near(text, map(str, providers))}")
        return text

    return {
        "name": name,
        "new provider": new_provider,
        "known provider": known_provider,
        "optional provider": lambda text: known_provider(text) if text else "",
        "key": key,
        "base url": base_url,
        "optional base url": lambda text: base_url(text) if text else "",
        "base path": base_path,
        "listen host": listen_host,
        "allowed host": allowed_host,
        "origin": origin,
        "header": header,
        "forward header": forward_header,
        "header value": header_value,
        "passthrough": passthrough,
        "hook": hook,
        "file": file,
        "file or url": lambda text: list_url(text) if is_url(text) else file(text),
    }


def section(value: Any) -> tuple[str, str] | None:
    """What is wrong with a section whose fields are right one by one: the missing key and the complaint."""
    if isinstance(value, Provider) and not value.addresses:
        return "baseUrl", "is missing"
    if isinstance(value, Tls) and value.cert_file and not value.key_file:
        return "keyFile", "is missing: certFile needs it (the same file, if it holds both)"
    if isinstance(value, Tls) and value.key_file and not value.cert_file:
        return "certFile", "is missing: keyFile needs it"
    return None
