"""GET /analytics/usage and GET /billing/usage on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config.schema import Config, LedgerSettings
from proxy.control.turns import AT_ONCE, MOST_WAITING
from proxy.database.usage import Sums, UsageTable
from proxy.database.usage_query import SUMS, UsageQuery
from tests.control.usage.ledger_plane import Plane, ledger_plane

NOW = 1_700_000_000.0  # the FakeClock's


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with ledger_plane(tmp_path) as plane:
        yield plane


async def test_usage_is_told_by_group_with_the_unknown_apart(plane: Plane) -> None:
    answer = await plane.server.ask("GET", "/analytics/usage?groupBy=owner,model")
    assert answer.status == 200, answer.body
    found = answer.json
    assert [each["group"] for each in found["data"]] == [
        {"owner": "alice", "model": "m"},
        {"owner": "", "model": "m"},
        {"owner": "alice", "model": "=2+3"},
    ]
    first, estimated, unknown = found["data"]
    assert (first["cost_usd"], first["cost_nano"], first["unknown"]) == (1.5, 1_500_000_000, 0)
    assert (estimated["cost_nano"], estimated["cost_estimated_nano"], estimated["estimated"]) == (0, 7, 1)
    assert (unknown["cost_nano"], unknown["unknown"], unknown["unpriced"]) == (0, 1, 0)
    assert found["total"]["attempts"] == 3
    assert found["truncated"] is False
    assert "group" not in found["total"]


async def test_a_limit_truncates_the_groups_but_not_the_total(plane: Plane) -> None:
    answer = await plane.server.ask("GET", "/admin/analytics/usage?groupBy=client&limit=1")
    assert len(answer.json["data"]) == 1
    assert answer.json["truncated"] is True
    assert answer.json["total"]["attempts"] == 3


async def test_csv_has_a_line_for_each_group_and_no_formulas(plane: Plane) -> None:
    answer = await plane.server.ask("GET", "/analytics/usage?groupBy=model&format=csv")
    assert answer.header("content-type") == "text/csv; charset=utf-8"
    head, *lines = answer.body.decode().splitlines()
    assert head.startswith("model,input_tokens,")
    assert sorted(line.partition(",")[0] for line in lines) == ["'=2+3", "m"]


async def test_a_client_sees_what_its_owner_used(plane: Plane) -> None:
    alice = [("x-test-client", "new"), ("x-test-owner", "alice")]
    answer = await plane.server.fetch("GET", "/billing/usage?owner=bob", *alice)
    assert answer.json["total"]["attempts"] == 2
    assert answer.json["data"] == []


async def test_a_client_without_an_owner_sees_its_own(plane: Plane) -> None:
    answer = await plane.server.fetch("GET", "/billing/usage?groupBy=client", ("x-test-client", "c"))
    assert [each["group"] for each in answer.json["data"]] == [{"client": "key:c"}]
    assert answer.json["total"]["attempts"] == 1


async def test_without_a_credential_nothing_is_told(plane: Plane) -> None:
    for path in ("/analytics/usage", "/billing/usage"):
        assert (await plane.server.fetch("GET", path)).status == 401


async def test_clients_cannot_run_all_their_queries_at_once(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, go = 0, 0, asyncio.Event()

    async def slow(self: UsageTable, query: UsageQuery, limit: int) -> list[Sums]:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        if "owner" in query.filters:
            await go.wait()
        running -= 1
        return [Sums(("m",), None, dict.fromkeys(SUMS, 0))]

    monkeypatch.setattr(UsageTable, "sums", slow)
    alice = [("x-test-client", "new"), ("x-test-owner", "alice")]
    async with asyncio.TaskGroup() as tasks:
        path = "/billing/usage?groupBy=model"
        asked = [tasks.create_task(plane.server.fetch("GET", path, *alice)) for _ in range(AT_ONCE + MOST_WAITING + 3)]
        refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        answer = refused.pop().result()
        assert (answer.status, answer.json["error"]["code"]) == (503, "usage_busy")
        assert (await plane.server.ask("GET", "/analytics/usage?groupBy=model")).status == 200  # does not wait
        go.set()
    assert most == AT_ONCE + 1  # the operator's
    assert [each.result().status for each in asked].count(200) == AT_ONCE + MOST_WAITING


async def test_a_wrong_parameter_is_named(plane: Plane) -> None:
    answer = await plane.server.ask("GET", "/analytics/usage?groupBy=colour")
    assert (answer.status, answer.json["error"]["param"]) == (400, "groupBy")


async def test_an_unknown_parameter_is_not_ignored(plane: Plane) -> None:
    answer = await plane.server.ask("GET", "/analytics/usage?groupBy=model&modle=m")
    assert answer.status == 400
    assert "modle" in answer.json["error"]["message"]


async def test_a_period_and_labels_filter(plane: Plane) -> None:
    path = "/analytics/usage?label:a=b&from=2023-11-14T00:00:00Z&to=2023-11-15&timezone=Asia/Tokyo&groupBy=day"
    answer = await plane.server.ask("GET", path)
    assert answer.status == 200, answer.body
    path = "/analytics/usage?label:a=other"
    assert (await plane.server.ask("GET", path)).json["total"]["attempts"] == 0


async def test_a_period_with_too_many_rows_is_refused(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.database.usage.MOST_ROWS", 2)
    answer = await plane.server.ask("GET", "/analytics/usage?groupBy=label:a,model")
    assert (answer.status, answer.json["error"]["code"]) == (400, "period_too_long")
    assert "there are 3 attempts in this period. By run or label at most 2 can be" in answer.json["error"]["message"]


async def test_without_a_ledger_the_answer_says_what_to_set(plane: Plane) -> None:
    plane.config = Config(ledger=LedgerSettings(enabled=False))
    answer = await plane.server.ask("GET", "/analytics/usage")
    assert (answer.status, answer.json["error"]["code"]) == (501, "no_ledger")
    assert "ledger.enabled" in answer.json["error"]["message"]


async def test_a_ledger_that_is_elsewhere_is_told(plane: Plane) -> None:
    plane.config = Config(ledger=LedgerSettings(mode="events"))
    answer = await plane.server.ask("GET", "/analytics/usage")
    assert (answer.status, answer.json["error"]["code"]) == (501, "no_ledger")
    assert "ledger.mode is events" in answer.json["error"]["message"]


async def test_a_database_that_is_down_is_a_503(plane: Plane, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database at all" * 1000)
    for side in ("-wal", "-shm"):
        (tmp_path / f"ledger.db{side}").unlink(missing_ok=True)
    answer = await plane.server.ask("GET", "/analytics/usage")
    assert (answer.status, answer.json["error"]["code"]) == (503, "ledger_unavailable")
