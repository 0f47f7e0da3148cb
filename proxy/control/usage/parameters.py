"""The parameters of a question for usage: groups, filters, period, time zone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from proxy.errors import ClientFault

DAY: Final = 86400
LONGEST: Final = 3 * 366 * DAY  # seconds
MOST_GROUPS: Final = 4
GROUPS: Final = (
    *("hour", "day", "month", "model", "provider", "upstream_model", "endpoint"),
    *("client", "key", "owner", "team", "project", "run", "end"),
)
LABEL: Final = "label:"
NUL: Final = "\0"


class UsageParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``groupBy``: up to four of hour, day, month, model, provider, upstream_model, endpoint, client, key, owner, team,
    project, run, end, label:NAME, separated by commas. ``from``, ``to``: ISO 8601 or Unix seconds, by default the last
    24 hours; whole hours count. ``timezone``: of days, months and times without one, such as Europe/Berlin. The others
    filter, as does label:NAME.
    """

    group_by: str = field(default="", name="groupBy")
    start: str = field(default="", name="from")
    end: str = field(default="", name="to")
    timezone: str = "UTC"
    format: Literal["json", "csv"] = "json"
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    model: str | None = None
    provider: str | None = None
    upstream_model: str | None = None
    endpoint: str | None = None
    client: str | None = None
    key: str | None = None
    owner: str | None = None
    team: str | None = None
    project: str | None = None
    run: str | None = None
    outcome: str | None = field(default=None, name="end")


FILTERS: Final = tuple(name for name in GROUPS if name not in ("hour", "day", "month"))


class Question(Struct, frozen=True):
    """What is asked. ``start`` and ``end`` are Unix seconds."""

    groups: tuple[str, ...]
    filters: dict[str, str]
    start: int
    end: int
    zone: ZoneInfo


def question(given: UsageParameters, query: str, now: float) -> Question:
    """Read the parameters; ``query`` is the query string, for the labels. Raises ClientFault (400)."""
    groups = tuple(filter(None, (each.strip() for each in given.group_by.split(","))))
    for name in groups:
        if name not in GROUPS and not (name.startswith(LABEL) and len(name) > len(LABEL) and NUL not in name):
            raise _fault("groupBy", f"{name} is none of {', '.join(GROUPS)} and label:NAME")
    if len(groups) > MOST_GROUPS or len({*groups}) < len(groups):
        raise _fault("groupBy", f"at most {MOST_GROUPS} different groups")
    zone = _zone(given.timezone)
    end = _moment("to", given.end, zone, now) if given.end else now
    start = _moment("from", given.start, zone, now) if given.start else end - DAY
    if not start < end:
        raise _fault("from", "it is not before the end of the period")
    if end - start > LONGEST:
        raise _fault("from", "the period is longer than three years")
    values = {name: getattr(given, "outcome" if name == "end" else name) for name in FILTERS}
    filters = {name: value for name, value in values.items() if value is not None}
    filters |= {name: value for name, value in parse_qsl(query, keep_blank_values=True) if name.startswith(LABEL)}
    for name, value in filters.items():
        if NUL in name or NUL in value:  # PostgreSQL refuses it, and would count as down
            raise _fault(name, "no value has a NUL character")
    return Question(groups, filters, int(start), int(-(-end // 1)), zone)


def _moment(name: str, text: str, zone: ZoneInfo, now: float) -> float:
    try:
        found = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise _fault(name, "it is neither a time in ISO 8601 nor Unix seconds") from None
        found = (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()
    if not 0 <= found <= now + LONGEST:
        raise _fault(name, "it is no time in Unix seconds near the present")
    return found


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder is an OSError
        raise _fault("timezone", "it is no name of the IANA time zone database") from None


def _fault(name: str, text: str) -> ClientFault:
    return ClientFault(f"{name}: {text}.", param=name, code="invalid_value")
