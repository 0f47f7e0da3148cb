"""Bodies of the API-key routes: every mistake is reported with the name of its field."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.records import KeyFields
from proxy.config.limit_schema import Limits
from proxy.control.keys.fields import read_change, read_grace, read_new_key
from proxy.control.keys.schemas import KeyRotation
from proxy.errors import ClientFault

NOW = 1_700_000_000.0

# Every JSON value.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ["name", "owner", "enabled", "expires", "expiresIn", "models", "providers", "scopes", "limits", "graceSecs", "x"]
)


def refusal(body: dict[str, Any], *, of: Any = None) -> ClientFault:
    with pytest.raises(ClientFault) as raised:
        (of or read_new_key)(body, NOW) if of is not read_grace else read_grace(body)
    assert (raised.value.status, raised.value.code) == (400, "invalid_parameters")
    return raised.value


def outcome(read: Callable[[], KeyFields | float]) -> KeyFields | float | ClientFault:
    try:
        return read()
    except ClientFault as fault:
        return fault


def test_a_name_is_enough() -> None:
    assert read_new_key({"name": "ci"}, NOW) == {"name": "ci"}


def test_every_member_is_read() -> None:
    assert read_new_key(
        {
            "name": "ci",
            "owner": "ops",
            "team": "web",
            "project": "shop",
            "labels": {"ticket": "ABC-1"},
            "enabled": False,
            "expires": "2030-01-01T02:00:00+02:00",
            "models": ["gpt-*"],
            "providers": ["up"],
            "scopes": ["passthrough"],
            "limits": {"requestsPerMinute": 5, "concurrent": 2},
        },
        NOW,
    ) == {
        "name": "ci",
        "owner": "ops",
        "team": "web",
        "project": "shop",
        "labels": {"ticket": "ABC-1"},
        "enabled": False,
        "expires_at": 1893456000.0,
        "models": ["gpt-*"],
        "providers": ["up"],
        "scopes": ["passthrough"],
        "limits": Limits(requests_per_minute=5, concurrent=2),
    }


@pytest.mark.parametrize(
    ("body", "moment"),
    [
        ({"expires": "2030-01-01T00:00:00Z"}, 1893456000.0),
        ({"expires": "2030-01-01"}, 1893456000.0),
        ({"expires": 1893456000}, 1893456000.0),
        ({"expires": 1893456000.5}, 1893456000.5),
        ({"expiresIn": 3600}, NOW + 3600),
        ({"expires": None}, None),
        ({"expires": ""}, None),
        ({"expiresIn": None}, None),
    ],
)
def test_an_expiry_is_a_time_or_a_duration(body: dict[str, Any], moment: float | None) -> None:
    assert read_new_key({"name": "ci"} | body, NOW)["expires_at"] == moment


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"expires": "soon"}, "expires", "2030-12-31T18:00:00Z"),
        ({"expires": "2030-01-01T00:00:00"}, "expires", "time zone"),
        ({"expires": True}, "expires", "ISO 8601 or Unix seconds"),
        ({"expires": 0}, "expires", "ISO 8601 or Unix seconds"),
        ({"expires": 10**400}, "expires", "a huge number"),
        ({"expires": 1893456000000}, "expires", "ISO 8601 or Unix seconds"),
        ({"expires": "9999-12-31T23:59:59-14:00"}, "expires", "expected a date"),
        ({"expires": NOW}, "expires", "is past"),
        ({"expires": "2020-01-01"}, "expires", "is past"),
        ({"expiresIn": 0}, "expiresIn", "above 0"),
        ({"expiresIn": "60"}, "expiresIn", "above 0"),
        ({"expiresIn": 1e300}, "expiresIn", "above 0"),
        ({"expires": "2030-01-01", "expiresIn": 5}, "expiresIn", "already"),
    ],
)
def test_an_invalid_expiry_is_rejected(body: dict[str, Any], field: str, words: str) -> None:
    fault = refusal({"name": "ci"} | body)
    assert fault.param == field
    assert words in fault.message


@pytest.mark.parametrize(
    ("labels", "field", "words"),
    [
        (["a"], "labels", "expected a mapping"),
        ({"a b": "1"}, 'labels."a b"', "letters, digits"),
        ({"a": 1}, "labels.a", "expected text"),
        ({"a": ""}, "labels.a", "must not be empty"),
        ({"a": "\n"}, "labels.a", "printable text"),
        ({"a": "1" * 129}, "labels.a", "must not be longer than 128"),
        ({f"a{number}": "1" for number in range(17)}, "labels", "must not have more than 16 entries"),
    ],
)
def test_invalid_labels_are_rejected(labels: object, field: str, words: str) -> None:
    fault = refusal({"name": "ci", "labels": labels})
    assert fault.param == field
    assert words in fault.message


def test_a_change_may_set_an_expiry_in_the_past() -> None:
    assert read_change({"expires": "2020-01-01"}, NOW) == {"expires_at": 1577836800.0}


def test_a_new_key_needs_a_name() -> None:
    for body in ({}, {"name": None}, {"name": ""}, {"name": 5}, {"name": "a\nb"}, {"name": "\ud800"}):
        assert refusal(body).param == "name"
    assert read_change({}, NOW) == {}


def test_an_unknown_member_is_rejected_with_the_nearest_name() -> None:
    fault = refusal({"name": "ci", "expires_in": 5})
    assert (fault.param, fault.message) == ("expires_in", 'expires_in: unknown field; did you mean "expiresIn"?')
    assert "known: name, owner" in refusal({"name": "ci", "zzz": 5}).message
    fault = refusal({"name": "ci", "limits": {"requestPerMinute": 5}})
    assert fault.param == "limits"
    assert 'did you mean "requestsPerMinute"?' in fault.message


@pytest.mark.parametrize("member", ["id", "hash", "key", "source", "created", "revision"])
def test_internal_columns_are_rejected(member: str) -> None:
    assert refusal({"name": "ci", member: "x"}).param == member


def test_every_mistake_is_reported_at_once() -> None:
    fault = refusal(
        {
            "name": "",
            "enabled": "yes",
            "models": ["m", 5, ""],
            "scopes": ["not one"],
            "limits": {"burstSize": 0},
            "expires": "soon",
            "colour": "red",
        }
    )
    for place in ("name", "enabled", "models[1]", "models[2]", "scopes[0]", "limits.burstSize", "expires", "colour"):
        assert f"{place}: " in fault.message, place


def test_many_mistakes_are_summarized() -> None:
    fault = refusal({"name": "ci", "models": [5] * 10_000})
    assert fault.param == "models[0]"
    assert "9980 more" in fault.message
    assert len(fault.message) < 5000


def test_null_removes_optional_values() -> None:
    nothing = dict.fromkeys(
        ["owner", "team", "project", "labels", "expires", "models", "providers", "scopes", "limits"]
    )
    assert read_change(nothing, NOW) == {
        "owner": "",
        "team": "",
        "project": "",
        "labels": {},
        "expires_at": None,
        "models": [],
        "providers": [],
        "scopes": [],
        "limits": None,
    }
    for name in ("name", "enabled"):
        assert refusal({name: None}, of=read_change).param == name


def test_text_is_not_substituted_from_the_environment() -> None:
    assert read_new_key({"name": "${HOME}"}, NOW) == {"name": "${HOME}"}


@given(st.dictionaries(names | st.text(max_size=5), json_values, max_size=4))
def test_any_body_is_read_or_rejected(body: dict[str, Any]) -> None:
    for read in (lambda: read_new_key(body, NOW), lambda: read_change(body, NOW), lambda: read_grace(body)):
        result = outcome(read)
        if isinstance(result, dict):
            assert math.isfinite(result.get("expires_at") or 0)
            assert set(result) <= set(KeyFields.__annotations__)
        elif isinstance(result, ClientFault):
            f"{result.message}{result.param}".encode()  # it can be encoded


def test_the_default_grace_is_an_hour() -> None:
    assert read_grace({}) == KeyRotation().grace_secs == 3600
    assert read_grace({"graceSecs": None}) == 3600
    assert read_grace({"graceSecs": 0}) == 0
    assert read_grace({"graceSecs": 1.5}) == 1.5
    for value in (-1, "5", True, 1e9, math.inf):
        assert refusal({"graceSecs": value}, of=read_grace).param == "graceSecs"
    assert 'did you mean "graceSecs"?' in refusal({"grace": 5}, of=read_grace).message
