"""Rows from messages of the broker."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.events import cloudevent
from proxy.events.broker.reading import BrokerDelivery
from proxy.ledger.consumer.messages import MOST_REASON, MessageRows, row_of, rows_of
from proxy.ledger.row import COLUMNS, Row
from tests.ledger.rows import ROW

WHOLE = Row(
    *("w1", 1.25, "r", 2, "chat/completions", False, "a", "b", "m", "p", "d", "u", "c", "k", "o", "t", "j"),
    *({"ü": '"\n'}, "run", 2**40, 3, True, "ok", 200, "rm", 0.5, 1.5, 2.5, 3.5, 4.5, "provider"),
    *range(11),
    *("flex", 10**14, "catalog", "v1", 0.9, ["daily/2026-11-29/ann"]),
)
GIVEN = structs.replace(ROW, attempt=0, end="cached", usage_source="none", cost=0, saved=2_000_000)


def read(body: bytes) -> MessageRows:
    return rows_of(BrokerDelivery("id", "ai_usage", cloudevent.MEDIA_TYPE, body, None))


def encoded(data: object, type_: str = "io.sluice.ai_usage") -> bytes:
    return msgspec.json.encode({"specversion": "1.0", "id": "x", "type": type_, "data": data})


def columns(row: Row, **changes: Any) -> dict[str, Any]:
    return structs.asdict(row) | changes


@pytest.mark.parametrize("row", [ROW, WHOLE, GIVEN])
def test_every_column_comes_back(row: Row) -> None:
    assert read(encoded(columns(row))) == ([row], "")


def test_columns_of_a_later_version_are_ignored_and_those_of_an_earlier_one_have_defaults() -> None:
    data = {name: value for name, value in columns(ROW).items() if name in COLUMNS[:12]}
    found = read(encoded(data | {"cost_usd": 1.5, "new": {"a": [1]}}))
    assert found == ([Row(*(getattr(ROW, name) for name in COLUMNS[:12]))], "")


def test_rows_do_not_share_their_defaults() -> None:
    data = {name: value for name, value in columns(ROW).items() if name in COLUMNS[:12]}
    assert row_of(data).labels is not row_of(data).labels


def test_a_batch_gives_all_its_rows() -> None:
    rows = [structs.replace(ROW, id=f"n{number}") for number in range(5)]
    assert read(cloudevent.batch([encoded(columns(row)) for row in rows])) == (rows, "")


def test_a_bad_event_of_a_batch_takes_no_other_row_with_it() -> None:
    good, other = structs.replace(ROW, id="a"), structs.replace(ROW, id="b")
    bodies = [encoded(columns(good)), encoded(columns(ROW, at="now")), encoded([]), encoded(columns(other))]
    found = read(cloudevent.batch(bodies))
    assert found == ([good, other], "event 2 is no row: Expected float, got str - at data.at")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no row: Input data was truncated"),
        (b"{", "no row: Input data was truncated"),
        (b"[1", "no CloudEvent in JSON: Input data was truncated"),
        (b"[1]", "no row: Expected object, got int"),
        (b"\xff\xfe", "no row: JSON is malformed"),
        (b'{"type": "io.sluice.ai_usage"}', "no row: Object missing required field data"),
        (encoded({}), "no row: data.id is missing"),
        (encoded(columns(ROW), "io.sluice.key_created"), "no row: its type is io.sluice.key_created"),
        (encoded(columns(ROW, id="")), "no row: data.id is empty"),
        (encoded(columns(ROW, cost=1.5)), "no row: Expected int | null, got float - at data.cost"),
        (encoded(columns(ROW, usage_source="guessed")), "no row: Invalid enum value 'guessed' - at data.usage_source"),
        (encoded(columns(ROW, labels={"a": 1})), "no row: Expected str, got int - at data.labels"),
        (encoded(columns(ROW, at=None)), "no row: Expected float, got null - at data.at"),
        (b"[" * 100_000, "no CloudEvent in JSON: "),
        (b'{"type": "io.sluice.ai_usage", "data": ' + b'{"a": ' * 100_000, "no row: "),
    ],
)
def test_what_is_no_row_has_a_reason(body: bytes, why: str) -> None:
    found = read(body)
    assert found.rows == []
    assert found.poison.startswith(why)
    assert len(found.poison) <= MOST_REASON


@given(st.binary())
def test_any_bytes_give_rows_or_a_reason(body: bytes) -> None:
    found = read(body)
    assert bool(found.poison) or body.strip() == b"[]" or found.rows


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(COLUMNS), JSON))
def test_any_values_of_columns_give_a_row_or_a_reason(changes: dict[str, Any]) -> None:
    import json

    body = json.dumps({"type": "io.sluice.ai_usage", "data": columns(ROW) | changes}).encode()
    found = read(body)
    assert len(found.rows) == (not found.poison)
