from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.backends import database_url, redis_prefix, redis_url


@pytest.mark.parametrize(
    "text",
    [
        "redis://127.0.0.1:6379/0",
        "redis://localhost",
        "redis://[::1]:6379/",
        "rediss://user:p%40ss@redis.example.org:6380/12?ssl_cert_reqs=required",
        "redis://:password@host",
        "unix:///run/redis/redis.sock",
        "unix://:password@/run/redis.sock?db=1",
    ],
)
def test_addresses_of_redis(text: str) -> None:
    assert redis_url(text) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("127.0.0.1:6379", "begins with"),
        ("http://secret@host", "begins with"),
        ("redis:/secret", "begins with"),
        ("redis://", "has no host"),
        ("redis://:secret@", "has no host"),
        ("redis://:secret@:6379", "has no host"),
        ("redis://:sec#ret@host", "valid|#"),
        ("redis://:secret#@host", "valid|#"),
        ("redis://:secret@host:port", "is not a valid URL"),
        ("redis://:secret@host:0", "no usable port"),
        ("redis://:sec/ret@host", "number|valid"),
        ("redis://:secret@host/secret", "number"),
        ("redis://:se cret@host", "spaces"),
        ("redis://:secr\u00e9t@host", "ASCII"),
        ("redis://:secret@[::1", "is not a valid URL"),
        ("unix://secret", "expected a path"),
        ("unix:///", "expected a path"),
    ],
)
def test_rejected_addresses_of_redis(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        redis_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["sluice", "team-a:sluice_2.x"])
def test_prefixes_of_redis(text: str) -> None:
    assert redis_prefix(text) == text


@pytest.mark.parametrize("text", ["", "a{b}", "a b", "\u00e4", "a*", "a\n"])
def test_rejected_prefixes_of_redis(text: str) -> None:
    with pytest.raises(ValueError):
        redis_prefix(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sqlite:///data/sluice.db",
        "sqlite:////var/lib/sluice.db",
        "postgresql://user:p%23ss@host:5432/name?ssl=require",
        "postgres://host/name",
        "postgresql:///name?host=/run/postgresql",
    ],
)
def test_addresses_of_databases(text: str) -> None:
    assert database_url(text) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("data/sluice.db", "begins with"),
        ("mysql://user:secret@host/name", "begins with"),
        ("postgresql+psycopg2://user:secret@host/name", "begins with"),
        ("sqlite://data.db", "expected a file"),
        ("sqlite:///", "expected a file"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:x?mode=memory", "in memory"),
        ("postgresql://user:sec#ret@host/name", "valid|#"),
        ("postgresql://user:secret@host:port/name", "is not a valid URL"),
    ],
)
def test_rejected_addresses_of_databases(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        database_url(text)
    assert "secret" not in str(caught.value)


@given(st.text(st.characters(codec="utf-8"), max_size=20))
@example("a@b:c")
@example("@h:99999999999")
@example("[")
def test_messages_do_not_repeat_passwords(text: str) -> None:
    for scheme in ("redis", "postgresql", "sqlite", "mysql"):
        for check in (redis_url, database_url):
            with pytest.raises(ValueError) as caught:
                check(f"{scheme}://:Zq7{text}Zq7@h:x/?#")
            assert "Zq7" not in str(caught.value)
