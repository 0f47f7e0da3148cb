"""API keys to table rows and back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from proxy.auth.apikey import ApiKey
from proxy.auth.records import DEFAULTS, KeyFields, RecordReader, columns
from proxy.config.limit_schema import Limits

ROW: dict[str, Any] = {
    "id": "key_1",
    "name": "one",
    "hash": "sha256:00",
    **columns(DEFAULTS),
    "created_at": 1.5,
    "changed_at": 2.5,
    "previous_hash": None,
    "previous_until": None,
    "deleted": False,
    "revision": 3,
}

counts = st.integers(1, 1_000_000_000) | st.just(UNSET)
names = st.lists(st.text(min_size=1), max_size=3).map(tuple)
limits = st.builds(
    Limits,
    enabled=st.booleans(),
    requests_per_minute=counts,
    requests_per_hour=counts,
    tokens_per_minute=counts,
    concurrent=counts,
    burst_size=counts,
)
key_fields = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(),
        "owner": st.text(),
        "enabled": st.booleans(),
        "expires_at": st.none() | st.floats(0, 1e11),
        "models": names,
        "providers": names,
        "scopes": names,
        "limits": st.none() | limits,
        "team": st.text(),
        "project": st.text(),
        "labels": st.dictionaries(st.text(), st.text(), max_size=3),
    },
)


@given(key_fields)
def test_key_settings_survive_the_json_round_trip(fields: KeyFields) -> None:
    row = msgspec.json.decode(msgspec.json.encode({**ROW, **columns(fields)}))
    messages: list[str] = []
    key = RecordReader(messages.append).key(row)
    assert {name: getattr(key, name) for name in fields} == fields
    assert (key.id, key.created_at, key.revision) == ("key_1", 1.5, 3)
    assert messages == []


def test_limits_are_stored_as_in_the_configuration() -> None:
    assert columns({"limits": Limits(requests_per_minute=5)}) == {"limits": {"enabled": True, "requestsPerMinute": 5}}


@pytest.mark.parametrize(
    "broken",
    [
        {"limits": {"requestsPerMinute": 5, "requestsPerFortnight": 1}},
        {"limits": {"requestsPerMinute": -5}},
        {"limits": [1]},
        {"models": None},
        {"models": [1]},
        {"labels": None},
        {"labels": {"a": 1}},
    ],
)
def test_an_unreadable_row_is_a_disabled_key_with_one_warning(broken: dict[str, Any]) -> None:
    messages: list[str] = []
    reader = RecordReader(messages.append)
    off = ApiKey(id="key_1", name="one", hash="sha256:00", enabled=False, revision=3)
    assert [reader.key({**ROW, **broken}) for _ in range(2)] == [off, off]
    assert len(messages) == 1
    assert messages[0].startswith("the API key key_1 cannot be read and is off: ")
    reader.key({**ROW, **broken, "revision": 4})
    assert len(messages) == 2
