"""One trouble, and the order in which troubles are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from math import inf
from typing import Any, Final, Literal, get_args

from msgspec import Struct

# critical: no request is served. error: some requests fail. warning: requests are served, but with less choice or
# safety. notice: an operator may want to know.
Severity = Literal["critical", "error", "warning", "notice"]
# In the order of urgency within a severity.
Kind = Literal[
    "component",
    "out",
    "service",
    "credential",
    "keys",
    "cooldown",
    "probing",
    "errors",
    "probe",
    "receiver",
    "budget",
    "unpriced",
    "balance",
    "dead_events",
    "config",
    "certificate",
    "key",
    "missing",
    "waiting",
    "left_out",
]

_SEVERITIES: Final = {name: place for place, name in enumerate(get_args(Severity))}
_KINDS: Final = {name: place for place, name in enumerate(get_args(Kind))}


class Trouble(Struct, frozen=True, rename="camel"):
    """``what`` is in trouble, and ``why``, as parts of a sentence. ``failure``: the code of the attempts' failure.

    Times are Unix seconds: ``since`` it began, ``until`` it ends by time alone; ``null``: not known. ``provider``,
    ``deployment``, ``key``, ``requestId`` and ``service`` name what it is about, ``""`` where there is none.
    ``count``: how many deployments, models or addresses it is about.
    """

    severity: Severity
    kind: Kind
    what: str
    why: str
    failure: str = ""
    since: float | None = None
    until: float | None = None
    count: int = 1
    provider: str = ""
    deployment: str = ""
    key: str = ""
    request_id: str = ""
    service: str = ""


# Finds troubles of one sort.
Source = Callable[[], Awaitable[Iterable[Trouble]]]


def urgency(trouble: Trouble) -> tuple[Any, ...]:
    """Sorts the worst first: by severity and kind, then what affects most, then what has lasted longest."""
    since = inf if trouble.since is None else trouble.since
    return _SEVERITIES[trouble.severity], _KINDS[trouble.kind], -trouble.count, since, trouble.what
