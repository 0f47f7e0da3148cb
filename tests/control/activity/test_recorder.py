"""Exchanges that are kept, and their size."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from proxy.breakers.breaker import Permit
from proxy.control.activity.history import SecondStats
from proxy.control.activity.record import TEXT, ExchangeRecord, record_of
from proxy.control.activity.recorder import MAX_PROMPT, Recorder
from proxy.dialects.openai.call import REQUESTS
from proxy.dialects.usage import Usage
from proxy.exchange import Attempt
from proxy.observe.facts import generated
from proxy.providers.keys import Key
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry
from tests.observe.exchanges import settled
from tests.support import until
from tests.support.gateway import to_config

CONFIG = {
    "providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "k"}},
    "models": [{"name": "m", "provider": "up"}],
}


def made(keep: int = 500) -> Recorder:
    return Recorder(asyncio.get_running_loop(), lambda: 0, lambda: None, keep)


def catalog() -> Catalog:
    config = to_config(CONFIG)
    return Catalog(config, Registry.of(config.circuit_breaker), version="1", created=0)


def attempt(of: Catalog, **facts: Any) -> Attempt:
    found = Attempt(of.deployments[0], Permit.NORMAL, Key(0, b""), 100.0)
    for name, value in ({"ended": 102.0} | facts).items():
        setattr(found, name, value)
    return found


def latest(recorder: Recorder, before: int = 0) -> list[ExchangeRecord]:
    return [recorder.record(kept, sequence) for kept, sequence in recorder.latest(before)]


async def test_the_latest_exchanges_are_kept_newest_first() -> None:
    recorder = made(keep=3)
    for number in range(5):
        recorder.settle([settled(request_id=f"r{number}")])
    assert [each.request_id for each in latest(recorder)] == ["r4", "r3", "r2"]
    assert [each.sequence for each in latest(recorder)] == [5, 4, 3]
    assert [each.sequence for each in latest(recorder, before=4)] == [3]


async def test_without_kept_exchanges_counters_still_work() -> None:
    recorder = made(keep=0)
    recorder.settle([settled()])
    assert latest(recorder) == []
    assert recorder.history.close(100, 0).requests == 1


async def test_the_newest_exchange_with_an_id_is_found() -> None:
    recorder = made()
    recorder.settle([settled(request_id="same", model="a")])
    recorder.settle([settled(request_id="same", model="b")])
    found = recorder.find("same")
    assert found is not None
    assert found.model == "b"
    assert recorder.find("other") is None


async def test_a_success_is_a_sample_and_a_failure_the_last_failure() -> None:
    recorder, known = made(), catalog()
    failed = attempt(known, failure="server_error", reason="status 500", ended=101.0)
    good = attempt(known, began=101.0, first_content=101.5, ended=103.0)
    recorder.settle([settled(attempts=[failed, good], usage=Usage(output=20, reasoning=10))])
    samples = recorder.samples[known.deployments[0].key]
    assert (samples.durations(), samples.first_tokens(), samples.tokens_per_second()) == ([2.0], [0.5], 20.0)
    assert samples.last_failure is not None
    assert (samples.last_failure.at, samples.last_failure.kind, samples.last_failure.request_id) == (
        101.0,
        "server_error",
        "req-1",
    )


@pytest.mark.parametrize("blameless", ["client_gone", "outrun"])
async def test_a_neutral_failure_is_not_the_last_failure(blameless: str) -> None:
    recorder, known = made(), catalog()
    recorder.settle([settled(attempts=[attempt(known, failure=blameless)])])
    assert known.deployments[0].key not in recorder.samples


async def test_an_attempt_in_progress_is_neither() -> None:
    recorder, known = made(), catalog()
    recorder.settle([settled(attempts=[attempt(known, ended=None)])])
    assert len(recorder.samples) == 0


@pytest.mark.parametrize("error", ["", "timeout_idle"])
async def test_a_kept_exchange_does_not_refer_to_its_catalog(error: str) -> None:
    recorder, known = made(), catalog()
    exchange = settled(catalog=known, attempts=[attempt(known)], error=error)
    del exchange.catalog  # as the gateway does
    recorder.settle([exchange])
    watched = weakref.ref(known)
    del known, exchange
    gc.collect()
    assert watched() is None
    assert len(latest(recorder)) == 1


@pytest.mark.parametrize("fact", ["model", "response_model", "error", "error_detail"])
async def test_long_text_is_truncated_when_it_is_recorded(fact: str) -> None:
    recorder = made()
    exchanges = [settled(), settled(**{fact: "x" * 50_000}), settled()]
    recorder.settle(exchanges)
    for kept in (*recorder._ring, *recorder.history._current.ended):
        assert len(getattr(kept, fact)) <= TEXT + 1
    assert latest(recorder) == [
        record_of(exchanges[2], 3),
        record_of(exchanges[1], 2),
        record_of(exchanges[0], 1),
    ]


async def test_an_exchange_and_its_record_have_the_same_facts() -> None:
    recorder = made(keep=4)
    plain, failed = settled(request_id="plain"), settled(request_id="failed", outcome="error", error="timeout_idle")
    for each in (plain, plain, failed, plain, failed):
        recorder.settle([each])
    expected = [record_of(failed, 5), record_of(plain, 4), record_of(failed, 3), record_of(plain, 2)]
    assert latest(recorder) == expected
    assert latest(recorder, before=4) == expected[2:]
    assert recorder.find("plain") == expected[1]
    assert recorder.find("failed") == expected[0]


async def test_tokens_are_reported_by_the_provider_or_estimated_from_events() -> None:
    assert generated(settled(usage=Usage(output=3, reasoning=4))) == 7
    assert generated(settled(usage=None, events=9)) == 9
    assert generated(settled(usage=None)) is None


async def test_a_captured_prompt_is_kept_with_its_exchange_and_truncated() -> None:
    recorder = made()
    first, second = settled(request_id="same"), settled(request_id="same")
    recorder.capture(first, REQUESTS.read(b'{"model":"m","messages":[{"role":"user","content":"\xc3\xa9"}]}'))
    recorder.capture(second, REQUESTS.read(b'{"input":"%b"}' % (b"x" * 100_000)))
    recorder.settle([second])
    recorder.settle([first])
    newest, older = latest(recorder)
    assert newest.prompt == '[{"role":"user","content":"é"}]'
    assert older.prompt is not None
    assert len(older.prompt) == MAX_PROMPT + 1
    assert recorder._prompts == {}


async def test_without_capture_there_is_no_prompt() -> None:
    recorder = made()
    recorder.settle([settled()])
    assert latest(recorder)[0].prompt is None


async def test_callbacks_get_each_exchange_and_each_second() -> None:
    recorder = made()
    records, seconds = [], []
    recorder.on_records, recorder.on_second = records.extend, seconds.append
    recorder.settle([settled()])
    recorder.start()
    try:
        await until(lambda: seconds, "a second to be over")
    finally:
        recorder.stop()
    assert [each.sequence for each in records] == [1]
    assert [each.requests for each in seconds] == [1]
    assert recorder.seconds(1) == [
        SecondStats(**{name: getattr(seconds[0], name) for name in SecondStats.__struct_fields__})
    ]
