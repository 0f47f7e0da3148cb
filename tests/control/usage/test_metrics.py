"""GET /analytics/metrics on a real database."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from tests.control.usage.ledger_plane import ledger_plane
from tests.ledger.rows import ROW
from tests.ledger.store import put


async def test_the_figures_of_a_day_count_what_is_unknown(tmp_path: Path) -> None:
    async with ledger_plane(tmp_path) as plane:
        found = (await plane.server.ask("GET", "/analytics/metrics")).json
        assert (found["total_requests"], found["successful_requests"], found["failed_requests"]) == (3, 1, 2)
        assert (found["total_cost_usd"], found["unknown_cost_requests"]) == (1.500000007, 1)
        assert found["success_rate"] == 0.3333
        assert {name: each["total_requests"] for name, each in found["models"].items()} == {"m": 2, "=2+3": 1}
        assert [*found["providers"]] == ["p"]


async def test_a_period_without_requests_has_no_averages(tmp_path: Path) -> None:
    async with ledger_plane(tmp_path) as plane:
        found = (await plane.server.ask("GET", "/analytics/metrics?from=2023-01-01&to=2023-01-02")).json
        assert (found["total_requests"], found["average_latency_ms"], found["models"]) == (0, None, {})


async def test_attempts_that_were_lost_have_no_duration(tmp_path: Path) -> None:
    async with ledger_plane(tmp_path) as plane:
        at = plane.server.clock.wall() - 60
        lost = structs.replace(ROW, id="d", at=at, model="z", run="r", end="lost", usage_source="estimated")
        ended = structs.replace(lost, id="e", end="ok", ended_ms=40.0)
        await put(plane.config.database.url, [lost, structs.replace(lost, id="f"), ended])
        found = (await plane.server.ask("GET", "/analytics/metrics")).json["models"]["z"]
        assert (found["total_requests"], found["average_latency_ms"]) == (3, 40.0)
        of_run = (await plane.server.ask("GET", "/analytics/usage?groupBy=run,end&run=r")).json["data"]
        assert {each["group"]["end"]: each["latency_ms"] for each in of_run} == {"lost": None, "ok": 40.0}
