"""The routes of the latest requests: a list with pages and filters, and one request with its attempts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.dialects.openai.call import REQUESTS
from proxy.dialects.usage import Usage
from proxy.identity import Client
from proxy.pricing.bill import Bill
from proxy.pricing.cost import RatedCost
from tests.control.admin import SECRET, TWO, AdminServer
from tests.support.clock import MIDNIGHT


@pytest.fixture
async def plane() -> AsyncIterator[AdminServer]:
    async with AdminServer(TWO) as plane:
        yield plane


async def test_the_list_is_empty_at_first(plane: AdminServer) -> None:
    answer = await plane.ask("GET", "/admin/requests")
    assert (answer.status, answer.json) == (200, {"capacity": 500, "requests": [], "next": None})


async def test_the_list_has_the_facts_of_a_request(plane: AdminServer) -> None:
    caller = Client("key:ab12", "Ann", owner="ann", team="web", project="shop", labels=(("cost", "42"),))
    plane.settle(
        caller=caller,
        response_model="up-model-1",
        run="r-1",
        added_labels=(("ticket", "7"),),
        cost=12_500_000,
        cache="hit",
        saved=500_000_000,
    )
    (found,) = (await plane.ask("GET", "/admin/requests")).json["requests"]
    assert found.pop("at") == pytest.approx(MIDNIGHT - 3, abs=5)
    assert found == {
        "sequence": 1,
        "id": "req-1",
        "endpoint": "chat/completions",
        "dialect": "openai.chat",
        "model": "m",
        "provider": "openrouter",
        "responseModel": "up-model-1",
        "client": "key:ab12",
        "address": "127.0.0.1",
        "owner": "ann",
        "team": "web",
        "project": "shop",
        "run": "r-1",
        "labels": {"cost": "42", "ticket": "7"},
        "stream": True,
        "status": 200,
        "outcome": "ok",
        "error": "",
        "attempts": 0,
        "fallbackUsed": False,
        "durationMs": 3000.0,
        "timeToFirstTokenMs": 250.0,
        "tokens": {"input": 10, "cached": 20, "output": 30, "reasoning": None},
        "costUsd": 0.0125,
        "cache": "hit",
        "savedUsd": 0.5,
        "bytesIn": 300,
        "bytesOut": 5000,
    }


async def test_unknown_facts_are_null(plane: AdminServer) -> None:
    plane.settle(caller=None, first_content=None, usage=None)
    (found,) = (await plane.ask("GET", "/admin/requests")).json["requests"]
    assert (found["cache"], found["savedUsd"]) == ("", None)
    assert (found["client"], found["timeToFirstTokenMs"], found["tokens"]) == ("", None, None)
    assert (found["owner"], found["team"], found["project"], found["run"], found["labels"]) == ("", "", "", "", {})


async def test_pages_go_from_the_newest_to_the_oldest(plane: AdminServer) -> None:
    for number in range(5):
        plane.settle(request_id=f"r{number}")
    first = (await plane.ask("GET", "/admin/requests?limit=2")).json
    assert ([each["id"] for each in first["requests"]], first["next"]) == (["r4", "r3"], 4)
    second = (await plane.ask("GET", "/admin/requests?limit=2&before=4")).json
    assert ([each["id"] for each in second["requests"]], second["next"]) == (["r2", "r1"], 2)
    third = (await plane.ask("GET", "/admin/requests?limit=2&before=2")).json
    assert ([each["id"] for each in third["requests"]], third["next"]) == (["r0"], None)


async def test_the_limit_counts_matching_requests_only(plane: AdminServer) -> None:
    for number in range(6):
        plane.settle(request_id=f"r{number}", outcome="error" if number % 2 else "ok")
    found = (await plane.ask("GET", "/admin/requests?outcome=error&limit=2")).json
    assert ([each["id"] for each in found["requests"]], found["next"]) == (["r5", "r3"], 4)


async def test_the_model_filter_matches_either_name(plane: AdminServer) -> None:
    plane.settle(request_id="a", model="m", request_model="up-model")
    plane.settle(request_id="b", model="other", request_model="up-model")
    plane.settle(request_id="c", model="other", request_model="else")
    for model, ids in {"m": ["a"], "up-model": ["b", "a"], "none": []}.items():
        found = (await plane.ask("GET", f"/admin/requests?model={model}")).json
        assert [each["id"] for each in found["requests"]] == ids


async def test_requests_are_searched_by_id_client_model_outcome_and_run(plane: AdminServer) -> None:
    plane.settle(request_id="a", run="night-1", caller=Client("key:k", owner="ann"))
    plane.settle(request_id="b", run="night-2", outcome="error")
    for query, ids in {
        "id=a": ["a"],
        "client=ann": ["a"],
        "run=night-*": ["b", "a"],
        "run=night-*&model=m&outcome=error": ["b"],
        "model=other": [],
    }.items():
        found = (await plane.ask("GET", f"/admin/requests?{query}")).json
        assert [each["id"] for each in found["requests"]] == ids, query


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("before=-1", "before"),
        ("outcome=great", "outcome"),
        ("colour=red", "colour"),
    ],
)
async def test_an_invalid_query_names_its_parameter(query: str, param: str | None, plane: AdminServer) -> None:
    answer = await plane.ask("GET", f"/admin/requests?{query}")
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


async def test_a_request_is_shown_with_its_attempts(plane: AdminServer) -> None:
    now = asyncio.get_running_loop().time()
    decision = b'x-router-decision: {"chosen":"up/m","strategy":"smart","skipped":{"twin/m%C3%A9":"resting"}}\r\n'
    failed = plane.attempt("up/m", now - 2.9, failure="server_error", reason="status 500", ended=now - 2.0)
    good = plane.attempt("twin/m#1", now - 2.0, first_content=now - 1.5, ended=now, decision=decision)
    good.bill = Bill("provider", Usage(9, None, 2), RatedCost(12_500_000, "catalog", "v1"))
    plane.settle(failed, good, began=now - 3.0, longest_gap=0.125, events=12, dropped_events=1, error_detail="oh")
    answer = await plane.ask("GET", "/admin/requests/req-1")
    assert answer.status == 200
    found = answer.json
    assert (found["sequence"], found["attempts"]) == (1, 2)
    assert found["trials"] == [
        {
            "deployment": "up/m",
            "provider": "up",
            "model": "up-model",
            "startedMs": 100.0,
            "connectedMs": 110.0,
            "headersMs": 300.0,
            "firstContentMs": None,
            "endedMs": 1000.0,
            "failure": "server_error",
            "reason": "status 500",
            "usageSource": "unknown",
            "tokens": {"input": None, "cached": None, "output": None, "reasoning": None},
            "costUsd": None,
            "costSource": "unpriced",
            "decision": None,
        },
        {
            "deployment": "twin/m#1",
            "provider": "twin",
            "model": "m",
            "startedMs": 1000.0,
            "connectedMs": 1010.0,
            "headersMs": 1200.0,
            "firstContentMs": 1500.0,
            "endedMs": 3000.0,
            "failure": "",
            "reason": "",
            "usageSource": "provider",
            "tokens": {"input": 9, "cached": None, "output": 2, "reasoning": None},
            "costUsd": 0.0125,
            "costSource": "catalog",
            "decision": {"chosen": "up/m", "strategy": "smart", "skipped": {"twin/mé": "resting"}},
        },
    ]
    assert (found["longestGapMs"], found["events"], found["droppedEvents"]) == (125.0, 12, 1)
    assert (found["prompt"], found["errorDetail"]) == (None, "oh")


async def test_secrets_are_masked_in_text_of_providers(plane: AdminServer) -> None:
    exchange = plane.settle(error_detail=f"Incorrect API key provided: {SECRET}")
    plane.activity.recorder.capture(
        exchange, REQUESTS.read(b'{"messages":[{"role":"user","content":"%b"}]}' % SECRET.encode())
    )
    plane.observers.put(exchange)
    answer = await plane.ask("GET", "/admin/requests/req-1")
    assert answer.json["errorDetail"] == "Incorrect API key provided: ***"
    assert answer.json["prompt"] == '[{"role":"user","content":"***"}]'


async def test_an_unknown_request_is_a_404(plane: AdminServer) -> None:
    answer = await plane.ask("GET", "/admin/requests/nobody")
    assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_request")


async def test_every_route_requires_the_admin(plane: AdminServer) -> None:
    plane.settle()
    assert (await plane.fetch("GET", "/admin/requests")).status == 401
    assert (await plane.fetch("GET", "/admin/requests/req-1")).status == 401
