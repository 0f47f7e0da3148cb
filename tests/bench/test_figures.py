"""Figures are read from RESULTS.md as the benchmark writes it."""

from __future__ import annotations

import pytest

from tests.bench.figures import RESULTS, figures
from tests.bench.peers import FULL
from tests.bench.run import Column, Plan, Result
from tests.bench.table import machine, report

PAGE = """# What

`scripts/bench --full`, 2026-01-02 03:04 UTC, A CPU, 2 cores, Linux 6.1.

Tokens: 400 streams, each with an event of 250 bytes every 20 ms.

|                                     | sluice | nginx | sluice / nginx |
| ----------------------------------- | -----: | ----: | -------------: |
| CPU per token, us                   |   17.3 |  13.6 |           1.27 |
| CPU per request, 16 connections, us |   67.0 |  19.9 |           3.36 |
| CPU per request, 64 connections, us |   61.7 |  19.8 |           3.12 |
| start to first answer, s            |      - |  0.01 |              - |
| idle memory, MB                     | 1,052.2 |  19.5 |          2.67 |
| memory per open stream, KB          |   20.2 |  18.1 |           1.11 |

## Over TLS to the upstream

|                                     | sluice (TLS) | nginx (TLS) |
| ----------------------------------- | -----------: | ----------: |
| CPU per token, us                   |         24.5 |        18.4 |
| CPU per request, 16 connections, us |         75.6 |        28.9 |
| CPU per request, 64 connections, us |         88.0 |        28.5 |

## Long and large

|                   | sluice |
| ----------------- | -----: |
| CPU per token, us |   99.9 |

- Versions: sluice 1.2.3, nginx 1.22.1; Python 3.11.2.
"""


def test_every_figure_comes_from_its_row_and_column() -> None:
    found = figures(PAGE)
    assert found.origin == "2026-01-02 03:04 UTC, A CPU, 2 cores, Linux 6.1"
    assert found.version == "1.2.3"
    assert (found.token_us, found.token_tls_us) == (17.3, 24.5)
    assert (found.request_us, found.request_tls_us) == (67.0, 88.0)  # the higher of both
    assert (found.stream_kb, found.idle_mb, found.event_bytes) == (20.2, 1052.2, 250)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("| memory per open stream, KB          |   20.2 |  18.1 |           1.11 |\n", "no figure for sluice in the row 'memory per open stream, KB'"),
        ("Tokens: 400 streams, each with an event of 250 bytes every 20 ms.\n", "nothing like 'event of"),
        ("- Versions: sluice 1.2.3, nginx 1.22.1; Python 3.11.2.\n", "nothing like"),
    ],
)  # fmt: skip
def test_a_missing_figure_is_named(line: str, message: str) -> None:
    assert line in PAGE
    with pytest.raises(ValueError, match=message):
        figures(PAGE.replace(line, ""))


def test_a_void_cell_is_no_figure() -> None:
    with pytest.raises(ValueError, match="in the row 'CPU per token, us'"):
        figures(PAGE.replace("|         24.5 |", "|         void |"))


def test_the_report_of_the_benchmark_is_understood() -> None:
    plain = {"token_us": 17.26, "request16_us": 67.04, "request64_us": 61.7, "stream_kb": 20.15, "idle_mb": 1052.2}
    tls = {"token_us": 24.52, "request16_us": 75.6, "request64_us": 88.0}
    peer = next(kind for kind in FULL if kind.name == "sluice")

    def column(title: str, values: dict[str, float]) -> Column:
        return Column(title, peer, "9.8.7", {metric: [value] for metric, value in values.items()})

    result = Result(Plan(full=True, rounds=1), [column("sluice", plain)], [column("sluice (TLS)", tls)])
    found = figures(report(result, "scripts/bench --full --save"))
    assert (found.version, found.event_bytes) == ("9.8.7", 300)
    assert found.origin.endswith(machine())
    assert (found.token_us, found.token_tls_us, found.request_us, found.request_tls_us) == (17.3, 24.5, 67.0, 88.0)
    assert (found.stream_kb, found.idle_mb) == (pytest.approx(20.15, abs=0.06), 1052.2)


def test_the_results_of_this_repository_have_every_figure() -> None:
    found = figures(RESULTS.read_text())
    assert 0 < found.token_us < found.token_tls_us < 1000
    assert 0 < found.stream_kb < 1000
