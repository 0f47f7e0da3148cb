"""The address of the database."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.schema import Database
from proxy.database.address import Address, address_of, require
from proxy.errors import ConfigError


def test_without_a_url_it_is_a_file_in_the_data_directory() -> None:
    assert address_of(Database(), "data") == Address("sqlite", "data/sluice.db")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///data/keys.db", "data/keys.db"),
        ("sqlite:////var/lib/sluice/keys.db", "/var/lib/sluice/keys.db"),
        ("sqlite:///with%20space.db", "with space.db"),
    ],
)
def test_three_slashes_begin_a_relative_path_and_four_an_absolute_one(url: str, path: str) -> None:
    assert address_of(Database(url=url), "elsewhere") == Address("sqlite", path)


def test_both_schemes_of_postgresql_are_accepted() -> None:
    short, long = (address_of(Database(url=f"{name}://me:pw@db:5433/x"), "") for name in ("postgres", "postgresql"))
    assert short == long == Address("postgresql", "postgresql://me:pw@db:5433/x")


def test_options_only_for_libpq_are_removed_from_the_query() -> None:
    url = "postgresql://db/x?sslmode=require&channel_binding=require&options=-csearch_path%3Dsluice"
    wanted = Address("postgresql", "postgresql://db/x?sslmode=require&options=-csearch_path%3Dsluice")
    assert address_of(Database(url=url), "") == wanted


@given(st.text("abcdef0123456789~!$", min_size=12))
def test_no_password_is_ever_shown(password: str) -> None:
    address = address_of(Database(url=f"postgresql://me:{password}@db.example.org:5432/keys?password={password}"), "")
    assert password not in str(address) + repr(address)
    assert str(address) == "postgresql://db.example.org:5432/keys"


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("", "sqlalchemy.ext.asyncio", "sluice-gateway[database]"),
        ("", "aiosqlite", "sluice-gateway[database]"),
        ("", "alembic", "sluice-gateway[database]"),
        ("postgresql://db/x", "asyncpg", "sluice-gateway[postgres]"),
    ],
)
def test_a_missing_package_is_one_sentence_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as error:
        require(address_of(Database(url=url), "data"))
    assert len(error.value.mistakes) == 1
    assert extra in str(error.value)
    assert module.partition(".")[0] in str(error.value)
