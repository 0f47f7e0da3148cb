"""The rows of the ledger that a message of the broker carries. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import NODEFAULT, Raw, Struct, structs

from proxy.events.broker.reading import BrokerDelivery
from proxy.events.cloudevent import TYPE_PREFIX
from proxy.ledger.recorder.announced import USAGE_EVENT
from proxy.ledger.row import COLUMNS, Row

MOST_REASON: Final = 300  # characters

_FIELDS: Final = structs.fields(Row)
_PLACE: Final = re.compile(r"at `\$\[(\d+)\]")  # in a message of msgspec: the number of a column


class _Received(Struct):
    """The members of a CloudEvent that are needed."""

    type: str
    data: dict[str, Any]


class MessageRows(NamedTuple):
    """``poison``: why a part of the message is no row; ``""``: all of it is rows."""

    rows: list[Row]
    poison: str


def rows_of(delivery: BrokerDelivery) -> MessageRows:
    """The rows of a CloudEvent, or of a batch of them, in their order."""
    rows: list[Row] = []
    poison = ""
    try:
        events = _events(delivery.body)
    except (ValueError, RecursionError) as error:
        return MessageRows(rows, _reason("no CloudEvent in JSON", error))
    for number, event in enumerate(events):
        try:
            rows.append(_row(event))
        except (ValueError, RecursionError) as error:
            poison = poison or _reason(f"event {number + 1} is no row" if len(events) > 1 else "no row", error)
    return MessageRows(rows, poison)


def row_of(data: Mapping[str, Any]) -> Row:
    """A row from its columns by name.

    Columns that are unknown are ignored, as those of a later version. Missing ones have their default. Raises
    ValueError.
    """
    values = []
    for field in _FIELDS:
        value = data.get(field.name, NODEFAULT)
        if value is NODEFAULT:
            value = field.default if field.default_factory is NODEFAULT else field.default_factory()
        if value is NODEFAULT:
            raise ValueError(f"data.{field.name} is missing")
        values.append(value)
    row = msgspec.convert(values, Row)
    if not row.id:
        raise ValueError("data.id is empty")
    if not isfinite(row.at):
        raise ValueError("data.at is no time")
    return row


def _events(body: bytes) -> list[Raw]:
    """One, or those of a batch, each as its bytes. Only the body decides, as a broker may lose the media type."""
    if body.lstrip()[:1] == b"[":
        return msgspec.json.decode(body, type=list[Raw])
    return [Raw(body)]


def _row(event: Raw) -> Row:
    received = msgspec.json.decode(event, type=_Received)
    if received.type != TYPE_PREFIX + USAGE_EVENT:
        raise ValueError(f"its type is {received.type}")
    return row_of(received.data)


def _reason(what: str, error: Exception) -> str:
    why = _PLACE.sub(lambda found: f"at data.{COLUMNS[int(found[1])]}", str(error)).replace("`", "")
    return f"{what}: {why or type(error).__name__}"[:MOST_REASON]
