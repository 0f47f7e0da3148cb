"""Thresholds of budgets through the real gateway: the log, the metrics, the answers, the dashboard and webhooks."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.auth.apikey import new_key
from tests.events.tools import SECRET, signature
from tests.support.answers import chat_events, completion, json_answer, sse_answer
from tests.support.gateway import ADMIN, Gateway, one_provider
from tests.support.patience import until, within
from tests.support.recorder import recorder_works
from tests.support.services import redis_prefix, redis_url
from tests.support.upstream import Upstream
from tests.support.zones import noon_zone
from tests.test_budgets import PRICED, USAGE, ask

DAY = {"window": "day", "timezone": noon_zone()}
BUDGET = {"name": "own", "per": "owner", "tokens": 100, **DAY, "soft": True}  # a call uses 20
BEARER = ("Authorization", f"Bearer {ADMIN}")


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hello") | {"usage": USAGE}))
        yield upstream


def settings(up: Upstream, *budgets: dict[str, Any], **sections: Any) -> tuple[dict[str, Any], tuple[str, str]]:
    """The configuration with one client, and its header."""
    key, hashed = new_key()
    auth = {"mode": "keys", "keys": [{"name": "k", "owner": "alice", "hash": hashed}]}
    made = one_provider(up, models=PRICED, budgets=[*budgets], auth=auth, database={"enabled": False}, **sections)
    return made, ("Authorization", f"Bearer {key}")


def with_events(
    up: Upstream, folder: Path, receiver: Upstream, *budgets: dict[str, Any], **sections: Any
) -> tuple[dict[str, Any], tuple[str, str]]:
    """The same with a webhook, and the database that its events wait in."""
    webhook = {"url": receiver.origin + "/hook", "secret": SECRET, "types": ["budget_threshold"]}
    made, key = settings(up, *budgets, **{"events": {"webhooks": [webhook]}, **sections})
    where = {"ledger": {"enabled": True}, "database": {"url": f"sqlite:///{folder}/gateway.db"}}
    return made | where | {"dataDir": str(folder)}, key


def reported(gw: Gateway) -> list[tuple[str, int]]:
    """The lines of the log about budgets: message and threshold."""
    lines = [json.loads(line) for line in gw.log_lines]
    return [(line["message"], line["threshold"]) for line in lines if "threshold" in line]


async def test_each_threshold_is_in_the_log_and_the_metrics_once(up: Upstream) -> None:
    config, key = settings(up, BUDGET)
    async with Gateway(config) as gw:
        for _ in range(7):
            assert (await ask(gw, key)).status == 200
        assert reported(gw) == [("A budget has reached a threshold.", percent) for percent in (50, 80, 100)]
        metrics = (await (await gw.client()).fetch("GET", "/metrics", headers=[BEARER])).body.decode()
    for percent in (50, 80, 100):
        assert f'budget_thresholds_total{{budget="own",threshold="{percent}"}} 1' in metrics
    assert 'budget_spent{budget="own",unit="tokens"} 140' in metrics
    assert 'budget_cap{budget="own",unit="tokens"} 100' in metrics
    assert 'budget_used_ratio{budget="own"} 1.4' in metrics


async def test_answers_say_so_from_then_on(up: Upstream) -> None:
    config, key = settings(up, BUDGET, {"name": "all", "tokens": 100, "window": "total", "soft": True})
    async with Gateway(config) as gw:
        lines = [(await ask(gw, key)).header("x-router-budget") for _ in range(5)]
    assert lines[:3] == [None, None, None]
    assert [(line or "").rpartition(";")[0] for line in lines[3:]] == ["own; used=60", "own; used=80"]
    assert (lines[3] or "").endswith(":00:00Z")


async def test_a_stream_says_so_too(up: Upstream) -> None:
    config, key = settings(up, BUDGET)
    async with Gateway(config) as gw:
        for _ in range(3):
            await ask(gw, key)
        up.on(lambda request: sse_answer(*chat_events("a", "b", usage=USAGE)))
        answer = await ask(gw, key, stream=True)
    assert (answer.header("x-router-budget") or "").startswith("own; used=60; renews=")


async def test_a_hard_budget_is_used_up_when_it_refuses(up: Upstream) -> None:
    config, key = settings(up, {**BUDGET, "soft": False, "tokens": 600})
    async with Gateway(config) as gw:
        while (answer := await ask(gw, key, max_tokens=10, messages=[])).status == 200:
            pass
        assert (answer.header("x-router-budget") or "").startswith("own; used=")
        assert reported(gw)[-1] == ("A budget does not cover a call.", 100)
        assert [percent for _, percent in reported(gw)] == [50, 80, 100]


async def test_a_webhook_gets_signed_events(up: Upstream, tmp_path: Path) -> None:
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}))
        config, key = with_events(up, tmp_path, receiver, BUDGET)
        async with Gateway(config) as gw:
            for _ in range(5):
                await ask(gw, key)
            requests = [await receiver.request(number) for number in range(3)]
        assert len(receiver.requests) == 3
    for request in requests:
        id_, timestamp = request.header("webhook-id") or "", request.header("webhook-timestamp") or ""
        key_bytes = base64.b64decode(SECRET.removeprefix("whsec_"))
        assert request.header("webhook-signature") == signature(id_, timestamp, bytes(request.body), key_bytes)
    assert [request.json["type"] for request in requests] == ["io.sluice.budget_threshold"] * 3
    data = sorted((request.json["data"] for request in requests), key=lambda each: each["threshold"])
    assert [(each["threshold"], each["used"], each["spent"], each["unit"]) for each in data] == [
        (50, 60, 60, "tokens"),
        (80, 80, 80, "tokens"),
        (100, 100, 100, "tokens"),
    ]
    assert {(each["budget"], each["per"], each["subject"], each["cap"]) for each in data} == {
        ("own", "owner", "alice", 100)
    }


async def test_events_of_the_last_requests_are_sent_after_the_stop(up: Upstream, tmp_path: Path) -> None:
    """By the recorder, which outlives the gateway."""
    async with Upstream() as receiver:
        receiver.queue(json_answer({}, 500))
        receiver.on(lambda request: json_answer({}))
        config, key = with_events(up, tmp_path, receiver, BUDGET)
        async with Gateway(config) as gw:
            await recorder_works(tmp_path / "spool")
            for _ in range(3):
                await ask(gw, key)
        requests = [await receiver.request(number) for number in range(2)]
        assert [request.json["data"]["threshold"] for request in requests] == [50, 50]
        assert requests[0].json == requests[1].json


async def test_a_reload_replaces_webhooks(up: Upstream, tmp_path: Path) -> None:
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}))
        changed, key = with_events(up, tmp_path, receiver, BUDGET)
        async with Gateway({**changed, "events": {}}) as gw:
            gw.app._adopt(Gateway(changed).config, gw.app.running.catalog)
            for _ in range(3):
                await ask(gw, key)
            assert (await receiver.request(0)).json["data"]["threshold"] == 50


async def test_dashboards_see_it(up: Upstream) -> None:
    config, key = settings(up, BUDGET)
    async with Gateway(config) as gw:
        client = await gw.client()
        await client.request("GET", "/admin/events", [BEARER])
        await within(client.read_head(), "the event stream")
        for _ in range(3):
            await ask(gw, key)
        seen = b""
        while b"event: budget\r\n" not in seen:
            seen = await within(client.read_event(), "the event")
    data = seen.partition(b"\r\ndata: ")[2]
    assert json.loads(data)["threshold"] == 50


async def test_one_of_two_replicas_reports(up: Upstream, tmp_path: Path) -> None:
    pytest.importorskip("redis")
    async with redis_prefix(redis_url()) as prefix, Upstream() as receiver:
        receiver.on(lambda request: json_answer({}))
        config, key = with_events(
            up,
            tmp_path,
            receiver,
            {**BUDGET, "tokens": 200},
            redis={"url": redis_url(), "prefix": prefix, "timeoutSecs": 30},
            rateLimiting={"store": "redis"},
        )
        async with Gateway(config) as one, Gateway(config) as other:
            for _ in range(8):
                for gw in (one, other):
                    assert (await ask(gw, key)).status == 200

            def thresholds() -> list[int]:
                return sorted(percent for gw in (one, other) for _, percent in reported(gw))

            await until(lambda: 100 in thresholds(), "the last threshold")  # it may be seen with those before it
            for gw in (one, other):
                await within(_says_so(gw, key), "both replicas to know of it")
            told = thresholds()
            await until(lambda: len(receiver.requests) == len(told), "the events")
        assert len(told) == len({*told})
        assert sorted(request.json["data"]["threshold"] for request in receiver.requests) == told


async def _says_so(gw: Gateway, key: str) -> None:
    while (await ask(gw, key)).header("x-router-budget") is None:
        pass


async def test_a_balance_that_covers_no_call_is_reported_once_a_day(up: Upstream, tmp_path: Path) -> None:
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}))
        config, key = with_events(up, tmp_path, receiver, billing={"enabled": True, "defaultBalance": 0})
        async with Gateway(config) as gw:
            for _ in range(3):
                assert (await ask(gw, key)).status == 429
            assert reported(gw) == [("A balance is used up.", 100)]
            data = (await receiver.request(0)).json["data"]
        assert len(receiver.requests) == 1
    assert (data["budget"], data["subject"], data["spent"], data["cap"]) == ("balance", "alice", 0, 0)
