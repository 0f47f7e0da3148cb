"""Checks of a message broker's addresses. They may contain passwords, so no complaint repeats them."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

from proxy.config.backends import split
from proxy.config.secret import SecretUrl

SCHEMES: Final = ("amqp", "amqps", "nats", "tls")
_EXPECTED: Final = "amqp://, amqps://, nats:// or tls:// (NATS with TLS)"
_EXCHANGE: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class BrokerUrl(SecretUrl):
    """One or more addresses of a broker, separated by commas."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        return ",".join(SecretUrl(each).shown for each in addresses(self))

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for each in addresses(self) for part in (*SecretUrl(each).parts, *_token(each)))


def _token(address: str) -> tuple[str, ...]:
    """Of NATS, which has it in the place of a user without a password: as it is written, and decoded."""
    parts = urlsplit(address)
    if parts.scheme not in ("nats", "tls") or not parts.username or parts.password is not None:
        return ()
    return parts.username, unquote(parts.username)


def addresses(text: str) -> list[str]:
    return [each.strip() for each in str(text).split(",") if each.strip()]


def broker_url(text: str) -> str:
    """``""``: there is no broker. Raises ``ValueError``."""
    found = [split(each, _EXPECTED, SCHEMES) for each in addresses(text)]
    if text and not found:
        raise ValueError("has no address")
    if len({each.scheme for each in found}) > 1:
        raise ValueError("all addresses must begin with the same scheme: they are of one cluster")
    for each in found:
        if not each.hostname or "\\" in each.netloc:
            raise ValueError("has no host (percent-encode special characters of a password)")
        if each.scheme in ("nats", "tls") and each.path.strip("/"):
            raise ValueError("NATS has no paths")
        if "/" in each.path[1:]:
            raise ValueError("the path is the virtual host: write a / in its name as %2F")
        if each.query:
            raise ValueError("must not have a query: events.tls names certificates")
    return text


def exchange_name(text: str) -> str:
    """Also a prefix of NATS subjects, so it has no ``*`` and no ``>``. Raises ``ValueError``."""
    if not _EXCHANGE.fullmatch(text):
        raise ValueError("expected words of letters, digits, _ and - with full stops between them")
    return text
