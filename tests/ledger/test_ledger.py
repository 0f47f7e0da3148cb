"""The gateway's end of the ledger: what is opened is closed, and a full spool refuses or forgets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.billing import bill
from proxy.breakers.breaker import Permit
from proxy.dialects.openai.call import REQUESTS
from proxy.dialects.usage import Usage
from proxy.errors import Overloaded
from proxy.events.base import EventReceiver, GatewayEvent
from proxy.events.receivers import EventReceivers
from proxy.exchange import Attempt, Exchange
from proxy.ledger.announcer import EventAnnouncer
from proxy.ledger.ledger import MOST_WAITING, Ledger
from proxy.ledger.row import Opened
from proxy.limits.reservation import Reservation
from proxy.observe.metrics import Metrics
from proxy.providers.keys import KeyRing
from proxy.routing.endpoints import ENDPOINTS
from tests.support import Headers, Send, Upstream, completion, json_answer
from tests.support.catalogs import build
from tests.support.gateway import Gateway, one_provider
from tests.support.lives import at_rest
from tests.support.recorded_ledger import RecordedSpool, keep_ledger

CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
WHOLE = json_answer(completion())


async def test_an_open_record_says_what_a_lost_attempt_may_have_used() -> None:
    model = {"name": "m", "provider": "up", "model": "up-model", "prices": {"input": 1, "output": 2}}
    async with Upstream() as up, Gateway(one_provider(up) | {"models": [model]}) as gw:
        ledger, spool = keep_ledger(gw)
        up.queue(WHOLE)
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL, headers=[("x-router-labels", "a=b"), ("x-router-run", "r1")])
        await client.read_answer()
        line = await gw.settled()
        (opened,) = spool.opened
        row = opened.row
        assert (opened.input_price, opened.output_price) == (10**9, 2 * 10**9)
        assert (row.input, row.output) == (line["bytes_in"] // 4, 1000)
        assert (row.usage_source, row.cost, row.cost_source) == ("unknown", None, "operator")
        assert (row.request_id, row.attempt, row.model, row.provider, row.deployment, row.upstream_model) == (
            line["request_id"],
            1,
            "m",
            "up",
            "m",
            "up-model",
        )
        assert (row.endpoint, row.stream, row.client_dialect, row.provider_dialect) == (
            "chat/completions",
            False,
            "openai.chat",
            "openai.chat",
        )
        assert (row.labels, row.run) == ({"a": "b"}, "r1")
        (closed,) = spool.closed
        assert (closed.id, closed.at, closed.labels, closed.run) == (row.id, row.at, {"a": "b"}, "r1")
        assert closed.sent_ms is not None
        assert closed.ended_ms is not None
        assert 0 <= closed.sent_ms <= closed.ended_ms
        assert ledger.open_entries == 0


async def opened_of(call: dict[str, Any], model: dict[str, Any], path: str = CHAT, **sections: Any) -> Opened:
    """The open record of a call for ``m``, which a provider answers."""
    models = [{"name": "m", "provider": "up", "model": "up-model"} | model]
    async with Upstream() as up, Gateway(one_provider(up, models=models, **sections)) as gw:
        _, spool = keep_ledger(gw)
        up.queue(WHOLE)
        client = await gw.client()
        await client.request("POST", path, json=call)
        await client.read_answer()
        await gw.settled()
        (opened,) = spool.opened
        return opened


@pytest.mark.parametrize(
    ("path", "call", "output"),
    [
        (CHAT, CALL, 1000),
        (CHAT, CALL | {"max_tokens": 7}, 7),
        (CHAT, CALL | {"max_completion_tokens": 7, "n": 3}, 21),
        (CHAT, CALL | {"max_tokens": 5000}, 1000),
        (CHAT, CALL | {"max_tokens": None}, 1000),
        (CHAT, CALL | {"n": 3}, 1000),
        ("/v1/messages", CALL | {"max_tokens": 7}, 7),
        ("/v1/embeddings", {"model": "m", "input": "Hi"}, 0),
        (
            "/v1beta/models/m:generateContent",
            {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 7}},
            7,
        ),
    ],
)
async def test_a_lost_attempt_is_estimated_to_write_no_more_than_its_call_allows(
    path: str, call: dict[str, Any], output: int
) -> None:
    assert (await opened_of(call, {}, path)).row.output == output


async def test_a_lost_attempt_is_estimated_to_write_no_more_than_its_model_can() -> None:
    assert (await opened_of(CALL, {"maxOutputTokens": 50})).row.output == 50


async def test_a_lost_attempt_costs_what_an_input_of_its_size_does() -> None:
    prices = {"input": 1, "output": 2, "request": 0.5, "tiers": [{"above": 1000, "input": 3, "output": 4}]}
    small, large = CALL, CALL | {"messages": [{"role": "user", "content": "x" * 5000}]}
    for call, expected in ((small, (10**9, 2 * 10**9)), (large, (3 * 10**9, 4 * 10**9))):
        opened = await opened_of(call, {"prices": prices})
        assert (opened.input_price, opened.output_price, opened.request_price) == (*expected, 500_000_000)


async def test_an_open_record_has_what_budgets_hold_for_the_attempt() -> None:
    def budgets(*units: str) -> list[dict[str, Any]]:
        return [{"name": unit, "window": "day", unit: 10**6} for unit in units]

    priced, call = {"prices": {"input": 1000, "output": 1000}}, CALL | {"max_tokens": 10}
    tokens = len(json.dumps(call)) + 10
    for units, held in (
        ((), (None, None)),
        (("usd",), (None, tokens * 10**6)),
        (("tokens",), (tokens, None)),
        (("usd", "tokens"), (tokens, tokens * 10**6)),
    ):
        opened = await opened_of(call, priced, budgets=budgets(*units), database={"enabled": False})
        assert (opened.held_tokens, opened.held_cost) == held


@pytest.mark.parametrize("count", [0, 3, 20])
async def test_both_records_have_the_counters_of_their_attempt(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """``Reservation`` itself knows no budgets here."""
    keys = [f"daily/2026-11-29/ännë-{number}" for number in range(count)]
    monkeypatch.setattr(
        Reservation, "held", lambda self, deployment: (tuple(f"{key} {deployment.name}" for key in keys), None, None)
    )
    limits = {"rateLimiting": {"enabled": True, "global": {"requestsPerMinute": 100}}}
    async with Upstream() as up, Gateway(one_provider(up) | limits) as gw:
        _, spool = keep_ledger(gw)
        up.queue(WHOLE)
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
        await gw.settled()
        (opened,), (closed,) = spool.opened, spool.closed
        assert opened.row.counters == closed.counters == [f"{key} {closed.deployment}" for key in keys]
        assert (closed.end, opened.input_price) == ("ok", None)


async def test_a_counter_that_no_encoding_knows_does_not_lose_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reservation, "held", lambda self, deployment: (("m/total/\ud800",), None, None))
    limits = {"rateLimiting": {"enabled": True, "global": {"requestsPerMinute": 100}}}
    async with Upstream() as up, Gateway(one_provider(up) | limits) as gw:
        _, spool = keep_ledger(gw)
        up.queue(WHOLE)
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
        await gw.settled()
        assert [row.counters for row in spool.rows] == [["m/total/\\ud800"]]


async def test_nothing_is_sent_while_the_spool_is_full() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        ledger, spool = keep_ledger(gw)
        spool.full = "It is full."
        client = await gw.client()
        for _ in range(2):
            answer = await client.fetch("POST", CHAT, json=CALL)
            assert answer.status == 503
            assert answer.json["error"]["code"] == "ledger_full"
            assert "ledger.spoolMb" in answer.json["error"]["message"]
            assert answer.header("retry-after") == "30"
        assert up.requests == []
        assert spool.closed == []
        assert not ledger.state.up
        assert len([line for line in gw.log_lines if "It is full." in line]) == 1
        spool.full = ""
        up.queue(WHOLE)
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        assert ledger.state.up
        assert len([line for line in gw.log_lines if "There is room for the ledger's records again." in line]) == 1
        await at_rest(gw)


async def test_a_full_spool_may_forget_instead() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        ledger, spool = keep_ledger(gw, "forget")
        up.on(lambda request: WHOLE)
        spool.full = "It is full."
        client = await gw.client()
        for _ in range(3):
            assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        await gw.settled(3)
        assert (spool.opened, spool.closed, gw.app.metrics.forgotten_attempts) == ([], [], 3)
        assert not ledger.state.up
        spool.full = ""
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        await gw.settled(4)
        assert len(spool.rows) == 1


async def test_text_that_is_no_unicode_is_recorded() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        _, spool = keep_ledger(gw)
        body = json.dumps(completion(model="half \ud800 a pair")).encode()
        head = Headers(200, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        up.queue([head, Send(body)])
        client = await gw.client()
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        await gw.settled()
        assert [row.response_model for row in spool.rows] == ["half \\ud800 a pair"]


async def test_the_rate_of_another_currency_is_kept() -> None:
    async with Upstream() as up, Gateway(one_provider(up, billing={"currency": "EUR", "usdRate": 0.5})) as gw:
        _, spool = keep_ledger(gw)
        up.queue(WHOLE)
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
        await gw.settled()
        assert [spool.opened[0].row.usd_rate, *(row.usd_rate for row in spool.rows)] == [0.5, 0.5]


class Batches:
    """A ledger whose writes wait in ``waiting``. Without sockets."""

    def __init__(self) -> None:
        self.spool = RecordedSpool()
        self.metrics = Metrics()
        self.notices: list[str] = []
        self.waiting: list[Callable[[], None]] = []
        self.ledger = Ledger(self.spool, "refuse", self.metrics, self.notices.append, self.waiting.append)
        models = [{"name": "m", "provider": "p", "prices": {"input": 1, "output": 2}}]
        self.catalog = build(models, {"p": {"baseUrl": "http://127.0.0.1:9/v1"}})

    def open(self) -> Exchange:
        key = KeyRing(()).take(0.0)
        assert key is not None
        exchange = Exchange(ENDPOINTS[0], self.catalog, "request", 0.0, model="m")
        exchange.attempts = [Attempt(self.catalog.deployments[0], Permit.NORMAL, key, 0.0, 1.7e9)]
        self.ledger.open(exchange, exchange.attempts[0], REQUESTS.read(json.dumps(CALL).encode()))
        return exchange

    def settle(self, exchange: Exchange) -> None:
        """As the gateway does, which drops the catalog then."""
        (attempt,) = exchange.attempts
        attempt.connected, attempt.ended, attempt.usage = 0.1, 0.2, Usage(9, None, 2)
        exchange.outcome, exchange.status = "ok", 200
        bill(exchange)
        self.ledger.offer(exchange)
        del exchange.catalog

    def flush(self) -> None:
        while self.waiting:
            self.waiting.pop()()


def test_records_wait_and_are_written_together() -> None:
    batches = Batches()
    ended, running = batches.open(), batches.open()
    batches.settle(ended)
    assert (batches.spool.opened, batches.spool.closed, len(batches.waiting)) == ([], [], 1)
    batches.flush()
    assert [each.row.id for each in batches.spool.opened] == ["nonce-1", "nonce-2"]
    assert [(row.id, row.end, row.input, row.cost) for row in batches.spool.closed] == [("nonce-1", "ok", 9, 13_000)]
    batches.settle(running)
    assert len(batches.waiting) == 1
    batches.flush()
    assert [row.id for row in batches.spool.closed] == ["nonce-1", "nonce-2"]
    assert batches.ledger.open_entries == 0


def test_the_number_of_waiting_open_records_is_bounded() -> None:
    batches = Batches()
    for _ in range(MOST_WAITING + 1):
        batches.open()
    assert len(batches.spool.opened) == MOST_WAITING
    batches.flush()
    assert len(batches.spool.opened) == MOST_WAITING + 1


def test_an_attempt_is_refused_at_once_and_after_those_that_wait() -> None:
    batches = Batches()
    exchange = batches.open()
    batches.spool.full = "It is full."
    with pytest.raises(Overloaded):
        batches.open()
    assert [each.row.id for each in batches.spool.opened] == ["nonce-1"]
    batches.settle(exchange)
    batches.flush()
    assert [row.id for row in batches.spool.closed] == ["nonce-1"]
    batches.spool.full = ""
    batches.open()
    assert len(batches.spool.opened) == 2


def test_the_end_writes_what_waits() -> None:
    batches = Batches()
    batches.settle(batches.open())
    batches.ledger.close()
    assert [len(batches.spool.opened), len(batches.spool.closed)] == [1, 1]
    batches.flush()
    assert [len(batches.spool.opened), len(batches.spool.closed)] == [1, 1]


def test_a_record_that_cannot_be_made_does_not_prevent_others() -> None:
    batches = Batches()
    exchanges = [batches.open() for _ in range(3)]
    for exchange in exchanges:
        batches.settle(exchange)
    exchanges[1].bytes_in = 1 << 70
    batches.flush()
    assert len(batches.spool.opened) == 3
    assert [row.id for row in batches.spool.closed] == ["nonce-1", "nonce-3"]
    assert len(batches.notices) == 1
    assert "could not record an attempt" in batches.notices[0]


def breaker_event(number: int) -> GatewayEvent:
    return GatewayEvent(f"evt_{number}", "breaker_changed", 1.7e9, "up/m", Usage(number))


def test_an_event_is_recorded_after_the_open_records_that_wait() -> None:
    batches = Batches()
    batches.open()
    batches.ledger.announce(breaker_event(1))
    assert [each.row.id for each in batches.spool.opened] == ["nonce-1"]
    (event,) = batches.spool.events
    assert (event.id, event.type, event.at) == ("evt_1", "breaker_changed", 1.7e9)
    assert json.loads(event.body)["data"]["input"] == 1


def test_an_event_without_room_is_counted_and_logged_once() -> None:
    batches = Batches()
    batches.spool.full = "It is full."
    for number in range(3):
        batches.ledger.announce(breaker_event(number))
    assert batches.metrics.forgotten_events == 3
    assert batches.notices == ["An event of breaker_changed is not sent, as it cannot be recorded: It is full."]
    assert batches.ledger.state.up  # attempts are refused by their own records
    batches.spool.full = ""
    batches.ledger.announce(breaker_event(3))
    batches.spool.full = "It is full."
    batches.ledger.announce(breaker_event(4))
    assert [event.id for event in batches.spool.events] == ["evt_3"]
    assert len(batches.notices) == 2


def test_events_that_no_receiver_gets_are_not_recorded() -> None:
    batches = Batches()
    receivers = EventReceivers((EventReceiver("broker", ("ai_usage",)),))
    announcer = EventAnnouncer(receivers, batches.ledger)
    announcer.offer(breaker_event(1))
    receivers.adopt((EventReceiver("broker", ("breaker_changed",)),))
    announcer.offer(breaker_event(2))
    receivers.adopt(())
    announcer.offer(breaker_event(3))
    EventAnnouncer(receivers, None).offer(breaker_event(4))
    assert [event.id for event in batches.spool.events] == ["evt_2"]
