"""Certificates and keys that expire, with a clock that the test sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.auth.apikey import ApiKey
from proxy.auth.keystore import DatabaseDown
from proxy.config.provider_schema import ProviderSettings, Tls
from proxy.config.schema import Config, ListenTls, ServerSettings
from proxy.control.attention.expiry import KEYS_EVERY, ExpiryTroubles
from proxy.control.attention.trouble import Trouble
from tests.support.tls import Authority

DAY = 86400.0


class Stored:
    """Stands for the credentials and their database."""

    def __init__(self, *configured: ApiKey) -> None:
        self._configured = configured
        self.found: Sequence[ApiKey] = ()
        self.asked: list[tuple[float, float]] = []
        self.down = False

    def configured(self) -> Sequence[ApiKey]:
        return self._configured

    def keys(self) -> Any:
        return self

    async def expiring(self, after: float, before: float, limit: int) -> Sequence[ApiKey]:
        self.asked.append((after, before))
        if self.down:
            raise DatabaseDown
        return self.found


def key(expires_at: float | None, **facts: Any) -> ApiKey:
    return ApiKey(id="key_1", name="alice", hash="", expires_at=expires_at, **facts)


async def found(now: float, stored: Stored, *, database: bool = False) -> list[Trouble]:
    troubles: Any = ExpiryTroubles(stored, lambda: database, lambda: now)  # type: ignore[arg-type]
    result: list[Trouble] = await troubles.find()
    return result


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (-3, []),
        (-0.5, [("warning", "the API key has expired")]),
        (13, [("notice", "the API key expires")]),
        (15, []),
    ],
)
async def test_a_key_is_shown_two_weeks_before_and_a_day_after(days: float, expected: list[tuple[str, str]]) -> None:
    troubles = await found(100 * DAY, Stored(key((100 + days) * DAY)))
    assert [(each.severity, each.why) for each in troubles] == expected
    assert {(each.what, each.key) for each in troubles} <= {("alice", "key_1")}


@pytest.mark.parametrize("facts", [{"expires_at": None}, {"expires_at": 101 * DAY, "enabled": False}])
async def test_a_key_that_does_not_expire_or_is_off_is_no_trouble(facts: dict[str, Any]) -> None:
    assert await found(100 * DAY, Stored(key(**facts))) == []


async def test_a_key_for_a_day_is_shown_within_its_last_hours() -> None:
    short = Stored(key(101 * DAY, created_at=100 * DAY))
    assert await found(100.7 * DAY, short) == []
    assert len(await found(100.9 * DAY, short)) == 1


async def test_the_database_is_asked_once_a_minute_and_only_if_it_is_in_use() -> None:
    now, stored, used = [100 * DAY], Stored(), [False]
    stored.found = [key(101 * DAY)]
    troubles: Any = ExpiryTroubles(stored, lambda: used[0], lambda: now[0])  # type: ignore[arg-type]
    assert (await troubles.find(), stored.asked) == ([], [])
    used[0] = True
    assert len(await troubles.find()) == len(await troubles.find()) == 1
    assert stored.asked == [(99 * DAY, 114 * DAY)]
    now[0] += KEYS_EVERY
    stored.down = True
    assert len(await troubles.find()) == 1  # what is known stays
    assert len(stored.asked) == 2


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-1, [("error", "the certificate has expired")]), (10, [("warning", "the certificate expires")]), (30, [])],
)
async def test_certificates_that_the_gateway_presents(
    days: float, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    (file := tmp_path / "it.pem").write_bytes(Authority.expiring(days))
    config = Config(
        server=ServerSettings(tls=ListenTls(cert_file=str(file))),
        providers={"up": ProviderSettings(tls=Tls(cert_file=str(file)))},
    )
    troubles = ExpiryTroubles(Stored(), lambda: False)  # type: ignore[arg-type]
    troubles.adopt(config)
    shown = await troubles.find()
    assert [(each.severity, each.why) for each in shown] == expected * 2
    assert [each.what for each in shown] == ["server.tls.certFile", "providers.up.tls.certFile"][: len(shown)]
    file.unlink()
    troubles.adopt(config)  # what cannot be read is left out
    assert await troubles.find() == []
