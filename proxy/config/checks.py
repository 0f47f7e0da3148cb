"""Checks of texts beyond their type, one function for each ``kind`` in ``types.py``.

A check returns the text in its normal form, or raises ``ValueError`` with the complaint. Complaints do not repeat
texts that may contain a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv6Network, ip_network
from os.path import isfile
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from proxy.config.address_schema import SERVICE
from proxy.config.backends import database_url, redis_prefix, redis_url
from proxy.config.broker_checks import BrokerUrl, broker_url, exchange_name
from proxy.config.budget_checks import budget_level, budget_name, time_zone
from proxy.config.labels import label_name, label_value
from proxy.config.mistakes import near, quoted
from proxy.config.secret import Secret, SecretUrl
from proxy.config.service_checks import (
    is_token,
    route_host,
    route_id,
    route_method,
    route_path,
    route_pattern,
    route_rewrite,
    scope,
    service_name,
    service_url,
    statuses,
)
from proxy.config.webhook_checks import WebhookUrl, webhook_secret

Check = Callable[[str], str]

DEMO_HINT = ": the built-in one takes no models; run `sluice demo`, and give a provider its address as baseUrl"
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_LISTEN = re.compile(r"[A-Za-z0-9._-]+|\[?(?=.*:.*:)[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?\]?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@\\:]+)(:(?P<port>[0-9]{1,5}|\*))?")
_SECRET_PARAMETER = re.compile(r"key|token|secret|passw|sig|code|auth", re.IGNORECASE)
_KEY_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_MAPPED = IPv6Network("::ffff:0:0/96")  # IPv4 as IPv6 (RFC 4291, section 2.5.5.2)

# RFC 9110, section 7.6.1, and what the connection itself writes.
CONNECTION_HEADERS = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
CREDENTIAL_HEADERS = frozenset(
    {"api-key", "authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key"}
)
RESERVED_PATHS = frozenset({"admin", "auth", "docs", "health", "metrics", "proxy", "ready", "redoc"})


def name(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must not begin or end with a space or contain control characters")
    return text


def new_provider(text: str) -> str:
    # Used in paths (/proxy/{provider}/...) and in provider/model.
    if not _PROVIDER.fullmatch(text):
        raise ValueError("a provider's name may contain only letters, digits, dots, dashes and underscores")
    return text


def base_url(text: str) -> str:
    address, _, query = text.partition("?")
    complaint = _not_an_address(address) or _not_a_query(query)
    if complaint:
        raise ValueError(complaint)
    return address.rstrip("/") + (f"?{query}" if query else "")


def provider_url(text: str) -> str:
    return service_url(text) if text.startswith(SERVICE) else base_url(text)


def _not_a_query(text: str) -> str:
    """What is wrong with the query of a base URL; ``""``: nothing. Azure needs ``api-version`` there."""
    if "#" in text or not text.isascii() or not text.isprintable() or " " in text:
        return "the query must be printable ASCII text without spaces and #"
    for parameter in filter(None, text.split("&")):
        if _SECRET_PARAMETER.search(parameter.partition("=")[0]):
            return "must not contain a credential in its query; put it into apiKey or headers"
    return ""


def is_url(text: str) -> bool:
    """Whether a text that names a file or a URL is a URL."""
    return text.lower().startswith(("http://", "https://"))


def list_url(text: str) -> str:
    # May have a query with a credential, as signed links do.
    address, _, query = text.partition("?")
    if "@" in address:
        raise ValueError("must not contain a user or password")
    if "#" in text or " " in query or not query.isascii() or not query.isprintable():
        raise ValueError("must be printable ASCII text without spaces and #")
    if complaint := _not_an_address(address):
        raise ValueError(complaint)
    return text


def _not_an_address(text: str) -> str:
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        return "must not contain spaces, backslashes or control characters"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme not in ("http", "https") or not text.lower().startswith(f"{parts.scheme}://"):
        return "expected a URL that begins with http:// or https://"
    if "@" in parts.netloc:
        return "must not contain a user or password; put credentials into apiKey or headers"
    if not host or port == 0:
        return "has no host" if not host else "has no usable port"
    if "#" in text:
        return "must not contain a #"
    return _unclean(parts.path)


def _unclean(path: str) -> str:
    if not path.isascii():
        return "the path must be percent-encoded"
    if "//" in path or any(segment in (".", "..") for segment in unquote(path).split("/")):
        return "the path must not contain empty or dot segments"
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
    if text != "*" and not _HOST.fullmatch(text.removeprefix("*.")):
        raise ValueError("expected a host name as in a URL, without scheme and port")
    return text.lower()


def origin(text: str) -> str:
    origin = text.lower().rstrip("/")
    if origin in ("*", "null"):
        return origin
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        raise ValueError(
            "expected an origin such as https://chat.example.org, http://localhost:* or https://*.example.org,"
            ' or "null" or "*"'
        )
    host, port = found["host"], found["port"]
    if not host.isascii():
        raise ValueError("write this host with xn-- (punycode), as browsers send it")
    if "*" in host and host != "*" and not re.fullmatch(r"\*(\.[a-z0-9_-]+)+", host):
        raise ValueError('cannot match any origin: "*" is allowed before the first dot of the host, or as the port')
    if not re.fullmatch(r"[a-z0-9._*-]+|\[.*\]", host) or ((port or "").isdigit() and int(port) > 65535):
        raise ValueError("cannot match any origin: its host or port is not valid")
    return origin


def header(text: str) -> str:
    if not is_token(text):
        raise ValueError("is not a valid header name")
    if text.lower() in CONNECTION_HEADERS:
        raise ValueError("the gateway sets this header itself")
    return text


def forward_header(text: str) -> str:
    if header(text).lower() in CREDENTIAL_HEADERS:
        raise ValueError(f"{text} contains a client's credential and is never forwarded")
    return text


def header_value(text: str) -> str:
    if not text.isascii() or not text.replace("\t", " ").isprintable():
        raise ValueError("a header value must be printable ASCII text on one line")
    return text.strip()


def key(text: str) -> str:
    key = text.strip()  # pasted keys may end with a newline
    if not key.isascii() or not key.isprintable():
        raise ValueError("a key must be printable ASCII text on one line")
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


def key_hash(text: str) -> str:
    hash_ = text.strip().lower()
    if not _KEY_HASH.fullmatch(hash_):
        # The text may be the key itself, so it is not repeated.
        raise ValueError("expected sha256: and 64 hexadecimal digits, as printed by `sluice key hash`")
    return hash_


def moment(text: str) -> str:
    """``""``, or ISO 8601 in UTC. A date is midnight."""
    if not text:
        return ""
    complete = f"{text}T00:00:00+00:00" if _DATE.fullmatch(text) else text
    try:
        found = datetime.fromisoformat(complete)
        if found.tzinfo is not None:
            return found.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("expected a date, or a time such as 2030-12-31T18:00:00Z") from None
    raise ValueError("has no time zone: append Z for UTC, or an offset such as +02:00")


def hours(text: str) -> str:
    """``""``, or two times of the day, such as 22:30-04:00."""
    if text and not (_HOURS.fullmatch(text) and text[:5] != text[6:]):
        raise ValueError("expected two different times of the day in UTC, such as 22:30-04:00")
    return text


def currency(text: str) -> str:
    if not re.fullmatch("[A-Za-z]{3}", text):
        raise ValueError("expected the three letters of a currency, such as EUR")
    return text.upper()


def network(text: str) -> str:
    """``unix``, an address, or a network, in the shortest form. IPv4-mapped IPv6 becomes IPv4."""
    if text.lower() == "unix":
        return "unix"
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise ValueError('expected an IP address, a network such as 10.0.0.0/8, or "unix"') from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        found = ip_network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - 96))
    return str(found.network_address if found.num_addresses == 1 else found)


def listen_address(text: str) -> str:
    """``host:port`` or ``unix:path``."""
    if text.startswith("unix:"):
        if len(text) == len("unix:"):
            raise ValueError("expected a path after unix:")
        return text
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("expected host:port, such as 127.0.0.1:9090, or unix:/path")
    return f"{listen_host(host)}:{int(port)}"


def working_folder(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain control characters")
    if Path(text).exists() and not Path(text).is_dir():
        raise ValueError(f"is not a folder: {text}")
    return text


def socket_mode(text: str) -> str:
    if text and not re.fullmatch("0?[0-7]{3}", text):
        raise ValueError('expected permissions in octal digits, such as "0666"')
    return text


def log_path(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain control characters")
    if os.path.isdir(text):
        raise ValueError(f"is a folder, not a file: {text}")
    return text


# Kinds of text that are secret.
SECRET: Final[dict[str, type[Secret]]] = {
    "key": Secret,
    "key hash": Secret,
    "header value": Secret,
    "redis url": SecretUrl,
    "database url": SecretUrl,
    "list url": SecretUrl,
    "file or url": SecretUrl,  # paths of files are shown
    "broker url": BrokerUrl,
    "webhook url": WebhookUrl,
    "webhook secret": Secret,
}


def kinds(folder: Path, providers: Mapping[str, object] | None) -> dict[str, Check]:
    """All checks by kind, for a file in ``folder``. ``providers``: known names; ``None``: any name is accepted."""

    def file(text: str) -> str:
        path = folder / text
        if text and not isfile(path):  # unlike Path.is_file, it does not raise for a name that is too long
            raise ValueError(f"no such file: {path}")
        return str(path) if text else ""

    def known_provider(text: str) -> str:
        if providers is not None and text not in providers:
            hint = DEMO_HINT if text == "demo" else near(text, map(str, providers))
            raise ValueError(f"no provider {quoted(text)}{hint}")
        return text

    checks = {
        "name": name,
        "label name": label_name,
        "label value": label_value,
        "new provider": new_provider,
        "known provider": known_provider,
        "optional provider": lambda text: known_provider(text) if text else "",
        "key": key,
        "base url": base_url,
        "provider url": provider_url,
        "optional provider url": lambda text: provider_url(text) if text else "",
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
        "folder": working_folder,
        "log path": log_path,
        "socket mode": socket_mode,
        "redis url": redis_url,
        "redis prefix": redis_prefix,
        "database url": database_url,
        "key hash": key_hash,
        "moment": moment,
        "hours": hours,
        "currency": currency,
        "budget name": budget_name,
        "budget level": budget_level,
        "time zone": time_zone,
        "list url": lambda text: list_url(text) if text else "",
        "broker url": broker_url,
        "exchange name": exchange_name,
        "webhook url": list_url,
        "webhook secret": webhook_secret,
        "network": network,
        "service name": service_name,
        "scope": scope,
        "route id": route_id,
        "route host": route_host,
        "route path": route_path,
        "route pattern": route_pattern,
        "route rewrite": route_rewrite,
        "route method": route_method,
        "statuses": statuses,
        "listen address": lambda text: listen_address(text) if text else "",
        "file or url": lambda text: list_url(text) if is_url(text) else file(text),
    }
    return checks | {kind: _secret(checks[kind], type_) for kind, type_ in SECRET.items()}


def _secret(check: Check, type_: type[Secret]) -> Check:
    return lambda text: type_(check(text))
