"""Entry points that import SQLAlchemy only when it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.config.schema import Database
from proxy.database.opening import upgrade
from proxy.errors import ConfigError
from tests.database.databases import NEWEST

REPOSITORY = Path(__file__).parents[2]


def test_drivers_are_imported_only_if_they_are_used() -> None:
    code = "import sys, proxy.app\n"
    code += (
        "print([name for name in ('sqlalchemy', 'alembic', 'aiosqlite', 'asyncpg', 'aiormq') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_the_command_upgrades_the_file_of_the_configuration(tmp_path: Path) -> None:
    revisions = await upgrade(Database(), tmp_path / "data")
    assert (revisions.before, revisions.after) == (None, NEWEST)
    assert (tmp_path / "data" / "sluice.db").exists()


async def test_the_command_names_an_address_that_does_not_answer_without_its_password(unused_tcp_port: int) -> None:
    url = f"postgresql://me:secret@127.0.0.1:{unused_tcp_port}/keys"
    with pytest.raises(ConfigError) as error:
        await upgrade(Database(url=url), "data")
    assert f"postgresql://127.0.0.1:{unused_tcp_port}/keys cannot be used" in str(error.value)
    assert "secret" not in str(error.value)


async def test_the_command_names_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "keys.db"
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match=r"keys\.db cannot be used: file is not a database"):
        await upgrade(Database(url=f"sqlite:///{file}"), "data")
