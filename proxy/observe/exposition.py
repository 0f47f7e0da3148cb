"""The metrics as text, rendered in slices, so that a scrape never blocks the loop for long.

``prometheus_async.aio.web.server_stats`` and the handlers of prometheus_client format the whole registry in one call,
with 7 us per sample (13 us as OpenMetrics): 500 label sets in each of three histograms would block every stream for
200 ms. So our own families are formatted here, ten times as fast. prometheus_client formats its own registry.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/ (sample lines are the same in both).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from prometheus_async.aio import time
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics

from proxy.observe.family import Count, Family, HistogramCell
from proxy.observe.metrics import Metrics

# Lines formatted before control returns to the loop: about 0.2 ms.
SLICE = 500


async def render(metrics: Metrics, accept: str | None) -> tuple[bytes, str]:
    """The body of a scrape and its content type: OpenMetrics 1.0 if ``accept`` names it, else text 0.0.4.

    Counters may change between slices; each histogram is consistent.
    """
    return await time(metrics.scrape_seconds, _render(metrics, accept or ""))


async def _render(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    wants_openmetrics = "application/openmetrics-text" in accept
    written = []
    for piece in slices(metrics, openmetrics_names=wants_openmetrics):
        written.append(piece)
        await asyncio.sleep(0)
    # In a thread, because counting 10,000 open files takes the kernel 7 ms (without the GIL). These are few samples,
    # and end with OpenMetrics' "# EOF".
    generate = openmetrics.generate_latest if wants_openmetrics else generate_latest
    written.append(await asyncio.to_thread(generate, metrics.registry))
    content_type = openmetrics.CONTENT_TYPE_LATEST if wants_openmetrics else CONTENT_TYPE_PLAIN_0_0_4
    return b"".join(written), content_type


def slices(metrics: Metrics, *, openmetrics_names: bool) -> Iterator[bytes]:
    """Text of our own families, at most ``SLICE`` lines at a time. Lines of a cell stay together.

    First yields empty slices while breakers are sampled.
    """
    for _ in metrics.gather():
        yield b""
    lines: list[str] = []
    for family in metrics.collect():
        for piece in _pieces(family, openmetrics_names):
            if len(lines) + len(piece) > SLICE:
                yield "".join(lines).encode()
                lines = []
            lines += piece
    yield "".join(lines).encode()


def _pieces(family: Family[Count] | Family[HistogramCell], openmetrics_names: bool) -> Iterator[list[str]]:
    """The head of a family, then the lines of each cell that exists now."""
    name = family.name.removesuffix("_total") if openmetrics_names else family.name
    yield [f"# HELP {name} {family.documentation}\n", f"# TYPE {name} {family.kind}\n"]
    cells: list[tuple[tuple[str, ...], Count | HistogramCell]] = [*family.cells.items()]
    for values, cell in cells:
        labels = ",".join(f'{label}="{_escape(value)}"' for label, value in zip(family.labels, values, strict=True))
        if isinstance(cell, HistogramCell):
            yield _histogram(family.name, labels, cell)
        elif labels:
            yield [f"{family.name}{{{labels}}} {cell.value}\n"]
        else:
            yield [f"{family.name} {cell.value}\n"]


def _histogram(name: str, labels: str, cell: HistogramCell) -> list[str]:
    totals = list(accumulate(cell.counts))
    also, own = (f"{labels},", f"{{{labels}}}") if labels else ("", "")
    lines = [
        f'{name}_bucket{{{also}le="{bound}"}} {total}\n'
        for bound, total in zip(_edges(cell.bounds), totals, strict=True)
    ]
    lines.append(f"{name}_count{own} {totals[-1]}\n")
    lines.append(f"{name}_sum{own} {cell.sum}\n")
    return lines


@cache
def _edges(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*map(repr, bounds), "+Inf")


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
