"""The parameters of a question for usage."""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec
import pytest

from proxy.control.usage.parameters import LABEL, Question, UsageParameters, question
from proxy.errors import ClientFault

NOW = 1_700_000_000.5


def asked(query: str) -> Question:
    named = {name: value for name, value in parse_qsl(query) if not name.startswith(LABEL)}
    given = msgspec.convert(named, UsageParameters, strict=False)
    return question(given, query, NOW)


def test_without_parameters_it_is_the_last_day() -> None:
    found = asked("")
    assert (found.start, found.end, found.groups, found.filters) == (1_700_000_000 - 86400, 1_700_000_001, (), {})
    assert found.zone.key == "UTC"


def test_times_are_iso_or_unix_seconds() -> None:
    found = asked("from=2023-11-14T00:00:00%2B01:00&to=1699999999")
    assert (found.start, found.end) == (1_699_916_400, 1_699_999_999)
    assert asked("from=2023-11-14").start == 1_699_920_000
    assert asked("from=2023-11-14&timezone=Europe/Berlin").start == 1_699_920_000 - 3600


def test_groups_and_filters_have_the_names_of_columns() -> None:
    found = asked("groupBy=model,%20label:a%20b,day&end=ok&run=&label:app=x&limit=3")
    assert found.groups == ("model", "label:a b", "day")
    assert found.filters == {"end": "ok", "label:app": "x"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("groupBy=colour", "groupBy"),
        ("groupBy=label:", "groupBy"),
        ("groupBy=model,model", "groupBy"),
        ("groupBy=model,owner,key,day,hour", "groupBy"),
        ("from=yesterday", "from"),
        ("from=2020-01-01", "from"),
        ("from=inf", "from"),
        ("from=nan", "from"),
        ("to=1e30", "to"),
        ("from=2023-11-14T22:00&to=2023-11-14T21:00", "from"),
        ("timezone=Mars/Olympus", "timezone"),
        ("timezone=../etc/passwd", "timezone"),
        ("timezone=Europe", "timezone"),
        ("model=a%00b", "model"),
        ("end=%00", "end"),
        ("groupBy=label:a%00", "groupBy"),
        ("label:a=%00", "label:a"),
        ("label:%00=a", "label:\0"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, field: str) -> None:
    with pytest.raises(ClientFault) as caught:
        asked(query)
    assert caught.value.param == field
    assert caught.value.message.startswith(f"{field}: ")
