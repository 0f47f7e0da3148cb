"""Variables of libpq for a database URL."""

from __future__ import annotations

import pytest

from proxy.database.libpq import variables
from proxy.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://host/keys", {"PGHOST": "host", "PGDATABASE": "keys"}),
        (
            "postgres://me:p%40ss%2Fw@10.0.0.1:5433/my%20keys?sslmode=verify-full&connect_timeout=3",
            {
                "PGHOST": "10.0.0.1",
                "PGPORT": "5433",
                "PGUSER": "me",
                "PGPASSWORD": "p@ss/w",
                "PGDATABASE": "my keys",
                "PGSSLMODE": "verify-full",
                "PGCONNECT_TIMEOUT": "3",
            },
        ),
        ("postgresql://[::1]:5432/keys", {"PGHOST": "::1", "PGPORT": "5432", "PGDATABASE": "keys"}),
        ("postgresql:///keys?host=/run/postgresql", {"PGHOST": "/run/postgresql", "PGDATABASE": "keys"}),
        (
            "postgresql://host/keys?keepalives=1&options=-csearch_path%3Da",
            {"PGHOST": "host", "PGDATABASE": "keys", "PGOPTIONS": "-csearch_path=a"},
        ),
    ],
)
def test_each_part_of_a_url_has_a_variable(url: str, expected: dict[str, str]) -> None:
    assert variables(url) == expected


def test_an_unknown_option_is_named_without_its_value() -> None:
    with pytest.raises(ConfigError) as error:
        variables("postgresql://me:secret@host/keys?search_path=hidden")
    assert error.value.mistakes == [
        "database.url: the commands of PostgreSQL have no variable for the option search_path"
    ]
