"""The calculator of cores, memory and money, and the tables of deploy/CAPACITY.md."""

from __future__ import annotations

import pytest

from proxy.config.schema import ServerSettings
from tests.bench.capacity import PAGE, Fleet, Load, Plan, answer, costs_table, fleet, rewritten, table
from tests.bench.figures import RESULTS, Figures, figures

COSTS = Figures(
    origin="2026-01-02, a machine",
    version="1.2.3",
    token_us=10.0,
    token_tls_us=20.0,
    request_us=100.0,
    request_tls_us=200.0,
    stream_kb=20.0,
    idle_mb=50.0,
    event_bytes=300,
)
# 1,000 streams, each for 10 s: 100 requests/s and 40,000 tokens/s.
LOAD = Load(streams=1000, tokens_per_second=50, tokens_per_answer=400, first_token_secs=2)


def test_streams_that_last_as_long_as_their_tokens_give_requests_and_tokens_per_second() -> None:
    assert (LOAD.requests, LOAD.tokens) == (100, 40_000)


def test_cores_are_those_of_tokens_and_requests() -> None:
    found = fleet(LOAD, Plan(), COSTS)
    assert found.busy_cores == pytest.approx(40_000 * 20e-6 + 100 * 200e-6)  # 0.82
    assert (found.working, found.processes) == (2, 3)  # 0.82 / 0.6, and a spare one
    assert fleet(LOAD, Plan(tls=False), COSTS).busy_cores == pytest.approx(0.41)
    assert fleet(LOAD, Plan(utilization=0.9), COSTS).working == 1


def test_spare_processes_are_a_share_and_at_least_one() -> None:
    large = fleet(Load(1_000_000, 50, 400, 2), Plan(), COSTS)
    assert (large.working, large.processes) == (1367, 1367 + 137)
    assert fleet(Load(1_000_000, 50, 400, 2), Plan(spare=0), COSTS).processes == 1368
    assert fleet(Load(1), Plan(), COSTS).processes == 2


def test_memory_is_that_of_a_process_and_its_streams_while_spare_ones_are_missing() -> None:
    found = fleet(LOAD, Plan(headroom=2), COSTS)
    assert found.process_streams == 500
    assert found.process_mb == pytest.approx(2 * (50 + 500 * 0.020))
    assert found.memory_gb == pytest.approx(3 * 0.120)
    assert found.open_files == 1200


def test_slow_streams_are_limited_by_the_requests_of_a_process() -> None:
    slow = fleet(Load(100_000, tokens_per_second=0.1, tokens_per_answer=100), Plan(), COSTS)
    assert slow.busy_cores < 1
    assert slow.working == 100_000 / ServerSettings().max_in_flight == 10


def test_prices_are_for_a_month() -> None:
    found = fleet(LOAD, Plan(headroom=2, core_hour=0.05, gb_hour=0.01, traffic_gb=0.02), COSTS)
    assert found.cores_price == pytest.approx(3 * 0.05 * 730)
    assert found.memory_price == pytest.approx(0.36 * 0.01 * 730)
    assert found.traffic_tb == pytest.approx(40_000 * 300 * 730 * 3600 / 1e12)
    assert found.traffic_price == pytest.approx(found.traffic_tb * 1000 * 0.02)
    assert found.price == pytest.approx(found.cores_price + found.memory_price + found.traffic_price)


def test_machines_are_counted_by_their_cores() -> None:
    def machines(cores: int) -> int:
        return fleet(Load(100_000), Plan(machine_cores=cores), COSTS).machines

    processes = fleet(Load(100_000), Plan(), COSTS).processes
    assert (machines(1), machines(processes), machines(processes - 1)) == (processes, 1, 2)


def rows(text: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {row[0]: row[1:] for row in cells}


def test_the_table_has_a_column_for_each_and_prices_only_if_given() -> None:
    def fleets(plan: Plan) -> list[Fleet]:
        return [fleet(Load(streams), plan, COSTS) for streams in (1000, 2000)]

    free = rows(table(fleets(Plan())))
    assert free["streams"] == ["1,000", "2,000"]
    assert not any("$" in label for label in free)
    paid = rows(table(fleets(Plan(core_hour=1))))
    assert "cores, $ a month" in paid
    assert "memory, $ a month" not in paid
    assert paid["cores, $ a month"] == paid["together, $ a month"]


def test_every_option_has_its_effect() -> None:
    base = answer(["--streams", "100000", "--core-hour", "1"], COSTS)
    for option, value in (
        ("--tokens-per-second", "20"),
        ("--tokens-per-answer", "20"),
        ("--first-token-secs", "20"),
        ("--utilization", "0.2"),
        ("--spare", "0.5"),
        ("--headroom", "2"),
        ("--machine-cores", "4"),
        ("--core-hour", "2"),
        ("--gb-hour", "2"),
        ("--traffic-gb", "2"),
    ):
        assert answer(["--streams", "100000", "--core-hour", "1", option, value], COSTS) != base, option
    assert answer(["--streams", "100000", "--core-hour", "1", "--plain"], COSTS) != base


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of the arguments --streams --costs --write is required"),
        (["--streams", "0"], "0 is no whole number from 1 on"),
        (["--streams", "many"], "many is no whole number from 1 on"),
        (["--streams", "1", "--tokens-per-second", "0"], "0 is not above 0"),
        (["--streams", "1", "--core-hour", "-1"], "-1 is no number from 0 on"),
        (["--streams", "1", "--core-hour", "nan"], "nan is no number from 0 on"),
        (["--streams", "1", "--utilization", "60"], "60 is above 1"),
    ],
)
def test_a_wrong_option_is_named(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        answer(options, COSTS)
    assert message in capsys.readouterr().err


def test_the_costs_are_those_of_the_results() -> None:
    text = costs_table(COSTS)
    assert text.startswith("Sluice 1.2.3, 2026-01-02, a machine:\n\n")
    assert rows(text)["CPU per token, us"] == ["10.0", "20.0"]


def test_the_page_has_the_tables_that_the_calculator_prints() -> None:
    """If this fails after new measurements: ``python -m tests.bench.capacity --write``."""
    page = PAGE.read_text()
    assert page.count("<!-- end -->") == page.count("<!-- python -m tests.bench.capacity ") == 4
    assert rewritten(page, figures(RESULTS.read_text())) == page
    assert rewritten(page, COSTS) != page


def test_a_page_is_rewritten_between_its_marks_only() -> None:
    page = "before\n\n<!-- python -m tests.bench.capacity --costs -->\n\nold\n\n<!-- end -->\n\nafter\n"
    found = rewritten(page, COSTS)
    assert found == page.replace("old", costs_table(COSTS))
    assert rewritten(found, COSTS) == found
