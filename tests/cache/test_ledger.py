"""Rows of the ledger for answers from the cache."""

from __future__ import annotations

from typing import Any

from tests.cache.flows import CALL, Clock, ask, cached, state
from tests.cache.test_batches import embed, embeddings
from tests.support import Upstream, completion, error_json, json_answer
from tests.support.gateway import Gateway
from tests.support.recorded_ledger import keep_ledger

PRICED: dict[str, Any] = {
    "models": [{"name": "m", "provider": "up", "model": "up-model", "inputPrice": 1.0, "outputPrice": 10.0}]
}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


async def test_a_row_says_what_a_hit_has_saved() -> None:
    async with Upstream() as up, Gateway(cached(up, **PRICED)) as gw:
        ledger, spool = keep_ledger(gw)
        gw.app.cache.keeper._ledger = ledger
        up.queue(json_answer(completion("Hello") | {"usage": USAGE}))
        client = await gw.client()
        await ask(client)
        answer = await ask(client, CALL, ("x-router-run", "r1"), ("x-router-labels", "ticket=A"))
        assert state(answer) == "hit"
        await gw.settled(2)
        second, first = sorted(spool.rows, key=lambda row: row.end)  # "cached", "ok"
        assert (first.end, first.cost, first.saved) == ("ok", 2_000_000, None)
        assert (second.end, second.attempt, second.answered, second.status) == ("cached", 0, True, 200)
        assert (second.cost, second.cost_source, second.saved) == (0, "none", 2_000_000)
        assert (second.usage_source, second.input, second.output) == ("none", 0, 0)
        assert (second.provider, second.deployment, second.model, second.upstream_model) == ("up", "m", "m", "up-model")
        assert (second.run, second.labels, second.client) == ("r1", {"ticket": "A"}, first.client)
        assert second.bytes_out == len(answer.body)
        assert second.request_id == answer.header("x-request-id") != first.request_id
        assert second.id != first.id


async def test_a_stale_answer_has_a_row_beside_those_of_failed_attempts() -> None:
    async with Upstream() as up, Gateway(cached(up, {"ttlSecs": 60, "staleSecs": 60}, **PRICED)) as gw:
        ledger, spool = keep_ledger(gw)
        gw.app.cache.keeper._ledger = ledger
        clock, client = Clock(gw), await gw.client()
        up.queue(json_answer(completion("Hello") | {"usage": USAGE}))
        await ask(client)
        clock.seconds += 61
        up.on(lambda request: json_answer(error_json("down"), 503))
        answer = await ask(client)
        assert state(answer) == "stale"
        await gw.settled(2)
        rows = [row for row in spool.rows if row.request_id == answer.header("x-request-id")]
        assert sorted((row.attempt, row.end, row.answered) for row in rows) == [
            (0, "cached", True),
            (1, "server_error", False),
        ]


async def test_without_room_a_hit_is_given_and_goes_unrecorded() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        ledger, spool = keep_ledger(gw)
        gw.app.cache.keeper._ledger = ledger
        up.queue(json_answer(completion("Hello")))
        client = await gw.client()
        await ask(client)
        await gw.settled()
        spool.full = True
        assert state(await ask(client)) == "hit"
        await gw.settled(2)
        assert len(spool.rows) == 1
        assert gw.app.metrics.forgotten_attempts == 1


async def test_the_attempt_of_a_batch_that_is_cached_in_part_has_what_was_saved() -> None:
    models = [{"name": "m", "provider": "up", "model": "e", "type": "embedding", "inputPrice": 1000.0}]
    async with Upstream() as up, Gateway(cached(up, models=models)) as gw:
        ledger, spool = keep_ledger(gw)
        gw.app.cache.keeper._ledger = ledger
        up.on(embed)
        client = await gw.client()
        for inputs in (["aaaa"], ["aaaa", "bb"], ["bb", "aaaa"]):
            await embeddings(client, inputs)
        await gw.settled(3)
        found = [(row.end, row.cost, row.saved) for row in spool.rows]
        assert len(found) == 3
        assert set(found) == {("ok", 4_000_000, None), ("ok", 2_000_000, 4_000_000), ("cached", 0, 6_000_000)}
