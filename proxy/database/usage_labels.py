"""What was used, grouped or filtered by one label: the SQL over the sums by hour and label.

A row without the label is in no sum of it. What such rows add up to is what all rows have more than those with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Label,
    Select,
    case,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.columns import ALL
from proxy.database.tables import LEDGER_LABELS, LEDGER_LABELS_BEGIN
from proxy.database.usage_query import SUMS, TIMES, UsageQuery, time_of


async def has_labels(connection: AsyncConnection, query: UsageQuery) -> bool:
    """Whether the sums by label answer the query, and have all rows of its period."""
    if query.label is None:
        return False
    begin = (await connection.execute(select(LEDGER_LABELS_BEGIN.c.hour))).scalar_one_or_none()
    return begin is None or begin <= query.first


def label_statement(query: UsageQuery) -> Select[Any]:
    """The columns of ``usage_query.statement``, for a query that has a ``label``."""
    name = query.label
    assert name is not None
    value = query.filters.get(name)
    if value:
        return _sums(query, name, _groups(query), LEDGER_LABELS.c.value == value)
    labeled = _sums(query, name, _groups(query)).cte("labeled")
    rest = _rest(query, name, labeled)
    if value is None:
        both = union_all(rest, select(labeled)).subquery("both")
        return select(both)
    return rest


def _groups(query: UsageQuery) -> list[Label[Any]]:
    """The columns of the query's groups."""
    table = LEDGER_LABELS.c
    found: list[Label[Any]] = []
    for place, name in enumerate(query.groups):
        column = time_of(table.hour, name, query) if name in TIMES else table["value" if name == query.label else name]
        found.append(column.label(f"group_{place}"))
    return found


def _sums(query: UsageQuery, name: str, groups: Sequence[Label[Any]], *conditions: ColumnElement[bool]) -> Select[Any]:
    table = LEDGER_LABELS.c
    sums = [func.sum(table[each]).label(each) for each in SUMS]
    found = select(*groups, func.max(table.hour).label("last_hour"), *sums)
    return found.where(*_conditions(query, name), *conditions).group_by(*(each.name for each in groups))


def _conditions(query: UsageQuery, name: str) -> list[ColumnElement[bool]]:
    table = LEDGER_LABELS.c
    filters = [table[each] == value for each, value in query.filters.items() if each != query.label]
    return [table.name == name, table.hour >= query.first, table.hour < query.last, *filters]


def _rest(query: UsageQuery, name: str, labeled: CTE) -> Select[Any]:
    """The same columns, of rows without the label: what all have, less what those with it have."""
    groups = [each for each, group in zip(_groups(query), query.groups, strict=True) if group != name]
    names = [each.name for each in groups]
    whole = _sums(query, ALL, groups).subquery("whole")
    nothing = null().cast(BigInteger).label("last_hour")
    more = select(*(whole.c[each] for each in names), nothing, *(whole.c[each] for each in SUMS))
    less = select(*(labeled.c[each] for each in names), nothing, *((-labeled.c[each]).label(each) for each in SUMS))
    parts = union_all(more, less, _last_hours(query, name, groups)).subquery("parts")
    columns = [
        literal("").label(f"group_{place}") if group == name else parts.c[f"group_{place}"]
        for place, group in enumerate(query.groups)
    ]
    sums = [func.sum(parts.c[each]).label(each) for each in SUMS]
    found = select(*columns, func.max(parts.c.last_hour).label("last_hour"), *sums)
    if not query.groups:
        return found
    return found.group_by(*(parts.c[each] for each in names)).having(func.sum(parts.c.attempts) > 0)


def _last_hours(query: UsageQuery, name: str, groups: Sequence[Label[Any]]) -> Select[Any]:
    """The last hour in which more rows began than those with the label; every sum is 0."""
    table = LEDGER_LABELS.c
    signed = case((table.name == ALL, table.attempts), else_=-table.attempts).label("attempts")
    of_one = [select(*groups, table.hour, signed).where(*_conditions(query, each)) for each in (ALL, name)]
    both = union_all(*of_one).subquery("signed")
    names = [both.c[each.name] for each in groups]
    left = select(*names, both.c.hour).group_by(*names, both.c.hour).having(func.sum(both.c.attempts) > 0).subquery()
    names = [left.c[each.name] for each in groups]
    zeros = [literal_column("0", BigInteger).label(each) for each in SUMS]
    return select(*names, func.max(left.c.hour).label("last_hour"), *zeros).group_by(*names)
