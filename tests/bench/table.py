"""The result as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.child import cores
from tests.bench.run import Column, Result
from tests.bench.targets import TARGETS, quotient

#   metric          label                                        digits  ratios
ROWS = (
    ("token_us",     "CPU per token, us",                             1, True),
    ("request16_us", "CPU per request, 16 connections, us",           1, True),
    ("request64_us", "CPU per request, 64 connections, us",           1, True),
    ("ttft_p50",     "added time to first token p50, ms",             2, True),
    ("ttft_p99",     "added time to first token p99, ms",             2, True),
    ("gap_p99",      "added gap p99, ms",                             2, True),
    ("rps64",        "requests/s, 64 connections",                    0, True),
    ("start_s",      "start to first answer, s",                      2, True),
    ("idle_mb",      "idle memory, MB",                               1, True),
    ("idle_pss_mb",  "idle memory, shared pages in proportion, MB",   1, True),
    ("stream_kb",    "memory per open stream, KB",                    1, True),
)  # fmt: skip
LONG_ROWS = (
    ("long_longest",  "2,000 streams x 20 events/s: longest gap between two events (50 ms apart), ms", 0, False),
    ("long_gap_p99",  "2,000 streams x 20 events/s: added gap p99, ms",            2, False),
    ("long_token_us", "2,000 streams x 20 events/s: CPU per token, us",            1, True),
    ("body_gap",      "largest added gap of other streams during a 50 MB body, ms", 1, False),
    ("body_calm",     "the same without the body, ms",                             1, False),
    ("body_upload_s", "the 50 MB body until its answer, s",                        2, False),
)  # fmt: skip
TRANSLATED_ROWS = (
    ("token_us",       "CPU per token, us",                             1, True),
    ("call_us",        "CPU per piece of a call's arguments, us",       1, True),
    ("request16_us",   "CPU per request, 16 connections, us",           1, True),
    ("request4k_us",   "CPU per request of 4 KB, 16 connections, us",   1, True),
    ("request400k_us", "CPU per request of 400 KB, 4 connections, us",  1, True),
    ("ttft_p50",       "added time to first token p50, ms",             2, True),
    ("gap_p99",        "added gap p99, ms",                             2, True),
    ("stream_kb",      "memory per open stream, KB",                    1, True),
)  # fmt: skip
TRANSLATED = (
    "Clients of Anthropic's API, before a provider with the same API (*passed*), and before one with OpenAI's chat "
    "completions (*translated*). Every text, every call's arguments and every finish reason is verified in the client's "
    "API. Requests of 4 KB have 2 tools and a few earlier turns with calls and results, those of 400 KB have 20 tools "
    "and many turns."
)
Rows = Sequence[tuple[str, str, int, bool]]


def report(result: Result, command: str) -> str:
    """Format the page."""
    plan = result.plan
    parts = [
        "# What a token and a request cost",
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}.",
        f"One core for the proxies ({cores()[0]}), one for the mock upstream and the clients ({cores()[1]}). "
        f"{count(plan.rounds, 'interleaved round')}; the cells are medians. Every stream's sequence and hash is verified: "
        "an error voids the row. CPU time is the scheduler's count. "
        "A loop of idle priority keeps the core awake, as slow wake-ups would be counted. "
        "Added times exclude the upstream's time. They include both sockets and the clients' delay, "
        "which the column *direct* shows alone. "
        "Tokens: 400 streams, each with an event of 300 bytes every 20 ms. MB and KB are decimal, resident memory.",
        table(result.plain, ROWS, *against_the_fastest(result.plain)),
    ]
    if result.tls:
        parts += ["## Over TLS to the upstream", table(result.tls, ROWS[:8], *against_the_fastest(result.tls))]
    if plan.full:
        long = [
            column
            for column in result.plain
            if any(row[0] in column.values or row[0] in column.void for row in LONG_ROWS)
        ]
        parts += ["## Long and large", table(long, LONG_ROWS, *against_the_fastest(long))]
    if result.translated:
        ours = next((column for column in result.translated if column.title == "sluice (translated)"), None)
        parts += ["## Translated", TRANSLATED, table(result.translated, TRANSLATED_ROWS, ours, result.translated)]
    parts += ["## Must reach", targets(result), "## Notes", notes(result)]
    return "\n\n".join(parts) + "\n"


def against_the_fastest(columns: Sequence[Column]) -> tuple[Column | None, Sequence[Column]]:
    """Our column, and those that it is compared with."""
    ours = next((column for column in columns if column.title.startswith("sluice")), None)
    return ours, [column for column in columns if column.title.split()[0] in ("nginx", "envoy")]


def table(columns: Sequence[Column], rows: Rows, ours: Column | None, compared: Sequence[Column]) -> str:
    """A row for each metric. The last columns are the ratios of ``ours`` to those ``compared``."""
    others = [column for column in compared if column is not ours] if ours else []
    lines = [["", *(column.title for column in columns), *(f"sluice / {other.title}" for other in others)]]
    for metric, label, digits, with_ratio in rows:
        cells = [cell(column, metric, digits) for column in columns]
        ratios = [quotient(ours, other, metric) if with_ratio else None for other in others]
        lines.append([label, *cells, *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios)])
    return aligned(lines)


def cell(column: Column, metric: str, digits: int) -> str:
    if metric in column.void:
        return "void"
    value = column.median(metric)
    if value is None:
        return "-"
    return f"{value * 1000 if metric == 'long_longest' else value:,.{digits}f}"


def targets(result: Result) -> str:
    lines = [["target", "at most", "measured", ""]]
    for target in TARGETS:
        value = target.value(result)
        shown = "-" if value is None else f"{value:.2f} {target.unit}"
        lines.append([target.text, f"{target.limit:g} {target.unit}", shown, target.verdict(result)])
    return aligned(lines)


def notes(result: Result) -> str:
    lines = [f"{column.title} {column.version}".strip() for column in result.plain if column.peer]
    notes = [f"Versions: {', '.join(lines)}; Python {platform.python_version()}."]
    for metric in ("token_us", "request16_us", "request64_us"):
        spread = [
            f"{column.title} {min(values):.1f} - {max(values):.1f}"
            for column in result.columns
            if metric not in column.void and (values := column.values.get(metric))
        ]
        if spread and result.plan.rounds > 1:
            notes.append(f"{metric} over the rounds: {', '.join(spread)}.")
    notes += [f"Left out: {each}" for each in result.missing]
    for column in result.columns:
        notes += [f"Void: {column.title}, {why}" for why in dict.fromkeys(column.void.values())]
        if column.peer and column.peer.streams != 400:
            notes.append(
                f"{column.title}: {column.peer.streams} streams instead of 400 and {column.peer.many or result.plan.many} open ones for its memory, "
                "as it could not keep up with more."
            )
        if column.retried:
            notes.append(
                f"{column.title}: tokens fell behind in {count(column.retried, 'window')}, which were measured again."
            )
        if column.foreign > 5:
            notes.append(
                f"Disturbed: other processes used up to {column.foreign:.0f} % of the proxies' core beside {column.title}."
            )
    return "\n".join(f"- {note}" for note in notes)


def machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is readable as text too; the first column to the left, the others to the right."""
    widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(lines[0]))]

    def row(line: Sequence[str]) -> str:
        cells = [
            text.rjust(width) if place else text.ljust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = f"| {' | '.join(('-' * width) if not place else '-' * (width - 1) + ':' for place, width in enumerate(widths))} |"
    return "\n".join([row(lines[0]), rule, *map(row, lines[1:])])
