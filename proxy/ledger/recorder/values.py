"""A row as values of SQL."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import structs

from proxy.ledger.recorder.hours import MOST
from proxy.ledger.row import COLUMNS, Row

_LABELS: Final = COLUMNS.index("labels")
_COUNTERS: Final = COLUMNS.index("counters")
_encode: Final = msgspec.json.encode

_SMALL: Final = frozenset({"attempt", "status"})  # INTEGER
_MOST_SMALL: Final = 2**31 - 1
_ABSENT: Final = "\ufffd"


def values(row: Row) -> list[Any]:
    """In the order of ``COLUMNS``; labels and counters as JSON, no counters as NULL."""
    found = list(structs.astuple(row))
    found[_LABELS] = _encode(row.labels).decode() if row.labels else "{}"
    found[_COUNTERS] = _encode(row.counters).decode() if row.counters else None
    return found


def cleaned(row: Row) -> Row:
    """``row`` with values that both databases accept. PostgreSQL has no NUL in texts, and its integers are bounded."""
    changed = {name: _clean(name, getattr(row, name)) for name in COLUMNS}
    changed["labels"] = {_text(name): _text(value) for name, value in row.labels.items()}
    changed["counters"] = [_text(key) for key in row.counters]
    return structs.replace(row, **changed)


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or name == "at":
        return value
    if isinstance(value, int):
        most = _MOST_SMALL if name in _SMALL else MOST
        return min(max(value, -most), most)
    if isinstance(value, float):
        return value if -MOST < value < MOST else None
    return value


def _text(text: str) -> str:
    return text.replace("\0", _ABSENT).encode("utf-8", "replace").decode()
