"""Which database checks are shared by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from proxy.config.schema import Config, Database
from proxy.database.opening import LazyEngine
from proxy.errors import ConfigError
from proxy.services.health import opening
from proxy.services.health.opening import own_database
from tests.services.health.rig import log_of

SHARED = cast(LazyEngine, object())


def chosen(folder: Path, **database: Any) -> LazyEngine | None:
    return own_database(Config(database=Database(**database), data_dir=str(folder)), SHARED, log_of([]))


def test_postgresql_is_shared_by_all_parts_of_the_gateway(tmp_path: Path) -> None:
    assert chosen(tmp_path, url="postgresql://a/b") is SHARED


async def test_a_file_is_opened_for_each_use(tmp_path: Path) -> None:
    found = chosen(tmp_path)
    assert found is not None
    assert found is not SHARED
    assert not found._keeps
    await found.close()


def test_without_a_database_the_process_is_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(tmp_path, enabled=False) is None

    def missing(address: object) -> None:
        raise ConfigError(["database: SQLAlchemy is not installed"])

    monkeypatch.setattr(opening, "require", missing)
    assert chosen(tmp_path) is None
