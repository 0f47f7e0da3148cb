"""Usage in answers: JSON, and CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from proxy.wire.spreadsheet import safe_cell

NANO: Final = 1_000_000_000
TOKENS: Final = (
    *("input", "cached", "cache_write", "cache_write_1h", "output", "reasoning"),
    *("audio_input", "audio_output", "image_input", "image_output"),
)


class UsageSums(Struct):
    """Sums over attempts. ``answered``: attempts that gave a client its answer; ``failed``: the others.

    ``cost_usd``: by usage that providers reported; ``cost_estimated_usd``: by usage that the gateway estimated, in
    ``estimated`` attempts. ``unknown``: attempts whose usage nobody knows; ``unpriced``: attempts with usage but
    without a price. Neither is in a cost. ``cost_nano`` is exact. Averages are ``null`` without values; attempts that
    were lost with their gateway have no latency. ``last_hour``: the latest hour with an attempt. ``from_cache``:
    answers from the cache, which are among the answered attempts; ``saved_usd``: what they once cost, as far as it is
    known.
    """

    attempts: int
    answered: int
    failed: int
    tokens: dict[str, int]
    images: int
    cost_usd: float
    cost_nano: int
    cost_estimated_usd: float
    cost_estimated_nano: int
    estimated: int
    unknown: int
    unpriced: int
    latency_ms: float | None
    first_content_ms: float | None
    last_hour: str | None
    from_cache: int
    saved_usd: float
    saved_nano: int
    group: dict[str, str] | UnsetType = UNSET


class UsageView(Struct, rename={"start": "from", "end": "to"}):
    """``truncated``: there are more groups than ``limit``; ``total`` is of all of them."""

    start: str
    end: str
    timezone: str
    group_by: Sequence[str]
    data: Sequence[UsageSums]
    total: UsageSums
    truncated: bool
    object: str = "usage"


def usage_sums(
    measures: Mapping[str, int], last_hour: int | None, group: dict[str, str] | UnsetType = UNSET
) -> UsageSums:
    timed, first = measures["with_duration"], measures["with_first_content"]
    return UsageSums(
        attempts=measures["attempts"],
        answered=measures["answered"],
        failed=measures["failed"],
        tokens={name: measures[name] for name in TOKENS},
        images=measures["images"],
        cost_usd=measures["cost"] / NANO,
        cost_nano=measures["cost"],
        cost_estimated_usd=measures["cost_estimated"] / NANO,
        cost_estimated_nano=measures["cost_estimated"],
        estimated=measures["estimated"],
        unknown=measures["unknown"],
        unpriced=measures["unpriced"],
        latency_ms=round(measures["duration_ms"] / timed, 1) if timed else None,
        first_content_ms=round(measures["first_content_ms"] / first, 1) if first else None,
        last_hour=None if last_hour is None else iso_time(last_hour),
        from_cache=measures["from_cache"],
        saved_usd=measures["saved"] / NANO,
        saved_nano=measures["saved"],
        group=group,
    )


def iso_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def usage_csv(view: UsageView) -> bytes:
    """A line for each group, with a head line (RFC 4180)."""
    names = [name for name in UsageSums.__struct_fields__ if name not in ("tokens", "group")]
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow([*map(safe_cell, view.group_by), *(f"{name}_tokens" for name in TOKENS), *names])
    for sums in view.data:
        group = sums.group or {}
        values = (getattr(sums, name) for name in names)
        writer.writerow(
            [
                *(safe_cell(group[name]) for name in view.group_by),
                *(sums.tokens[name] for name in TOKENS),
                *("" if value is None else value for value in values),
            ]
        )
    return table.getvalue().encode()
