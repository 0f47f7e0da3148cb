"""Figures of RESULTS.md, read from its tables."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from tests.bench.table import ROWS

RESULTS = Path(__file__).with_name("RESULTS.md")
LABELS = {metric: label for metric, label, *_ in ROWS}


class Figures(Struct, frozen=True):
    """What sluice costs on one core of the machine that ``origin`` names. Times in us, ``stream_kb`` in KB of 1,000 bytes."""

    origin: str  # command, date, machine
    version: str
    token_us: float
    token_tls_us: float  # TLS to the provider
    request_us: float
    request_tls_us: float
    stream_kb: float
    idle_mb: float
    event_bytes: int  # of a token in these measurements


def figures(page: str) -> Figures:
    """Raise ValueError if the page lacks one. Of both measurements of a request, the higher one."""
    plain, tls = _columns(page, "sluice"), _columns(page, "sluice (TLS)")

    def request(column: dict[str, float]) -> float:
        return max(_value(column, "request16_us"), _value(column, "request64_us"))

    return Figures(
        origin=_found(r"^`[^`]+`, (.+)\.$", page),
        version=_found(r"\bVersions: sluice ([\w.+-]+)", page),
        token_us=_value(plain, "token_us"),
        token_tls_us=_value(tls, "token_us"),
        request_us=request(plain),
        request_tls_us=request(tls),
        stream_kb=_value(plain, "stream_kb"),
        idle_mb=_value(plain, "idle_mb"),
        event_bytes=int(_found(r"event of (\d+) bytes", page)),
    )


def _columns(page: str, title: str) -> dict[str, float]:
    """The cells below ``title`` in the first table that has this column, by label. Cells without a number are left out."""
    column: dict[str, float] = {}
    place = None
    for line in page.splitlines():
        if not line.startswith("|"):
            if column:
                break
            place = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if place is None:
            place = cells.index(title) if title in cells else len(cells)
        elif place < len(cells) and re.fullmatch(r"[\d,]*\.?\d+", cells[place]):
            column[cells[0]] = float(cells[place].replace(",", ""))
    return column


def _value(column: dict[str, float], metric: str) -> float:
    try:
        return column[LABELS[metric]]
    except KeyError:
        raise ValueError(f"RESULTS.md has no figure for sluice in the row {LABELS[metric]!r}") from None


def _found(pattern: str, page: str) -> str:
    found = re.search(pattern, page, re.MULTILINE)
    if found is None:
        raise ValueError(f"RESULTS.md has nothing like {pattern!r}")
    return found[1]
