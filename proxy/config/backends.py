"""Checks of Redis and database URLs. They may contain passwords, so no complaint repeats them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_PREFIX = re.compile(r"[A-Za-z0-9._:-]+")
_REDIS_NUMBER = re.compile(r"/?|/[0-9]{1,5}")


def redis_url(text: str) -> str:
    parts = split(text, "redis://, rediss:// or unix://", ("redis", "rediss", "unix"))
    if parts.scheme == "unix":
        if len(parts.path) < 2:
            raise ValueError("expected a path, as in unix:///run/redis/redis.sock")
        return text
    if not parts.hostname:
        raise ValueError("has no host (percent-encode special characters of a password)")
    if not _REDIS_NUMBER.fullmatch(parts.path):
        raise ValueError("the path must be the number of a database, as in redis://127.0.0.1:6379/0")
    return text


def redis_prefix(text: str) -> str:
    # Braces would be a second hash tag, and all keys must be in one slot of a cluster.
    if not _PREFIX.fullmatch(text):
        raise ValueError("a prefix may contain only letters, digits and . _ - :")
    return text


def database_url(text: str) -> str:
    if not text:
        return ""
    parts = split(text, "sqlite:///, postgresql:// or postgres://", ("sqlite", "postgresql", "postgres"))
    if parts.scheme != "sqlite":
        return text
    if parts.netloc or len(parts.path) < 2 or not text.startswith("sqlite:///"):
        raise ValueError("expected a file, as in sqlite:///data/sluice.db (sqlite://// for a path from the root)")
    if ":memory:" in text or parts.query:
        raise ValueError("expected a file: a database in memory is lost when the process ends")
    return text


def split(text: str, expected: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a URL. Raises ``ValueError``; ``expected`` names ``schemes`` there."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII text without spaces")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid URL (percent-encode special characters of a password)") from None
    if parts.scheme not in schemes or not text.startswith(f"{parts.scheme}://"):
        raise ValueError(f"expected a URL that begins with {expected}")
    if parts.fragment or "#" in text:
        raise ValueError("must not contain a #; in a password write %23")
    if port == 0:
        raise ValueError("has no usable port")
    return parts
