"""Reservations, with a store that answers at once and with one that waits."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from proxy.budgets.base import Wants
from proxy.config.limit_schema import Limits
from proxy.config.provider_schema import ModelSettings, ProviderSettings
from proxy.config.schema import Config, RateLimiting
from proxy.dialects.call import Call
from proxy.dialects.openai.call import REQUESTS
from proxy.dialects.usage import Usage
from proxy.errors import RateLimited
from proxy.exchange import Attempt, Exchange
from proxy.identity import Client
from proxy.limits.base import Cost, Store, Verdict
from proxy.limits.memory import Memory
from proxy.limits.reservation import Reservation
from proxy.limits.rules import Rules
from proxy.limits.snapshot import LimiterSnapshot
from proxy.observe.family import Count
from proxy.routing.catalog import Catalog
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import ENDPOINTS
from proxy.routing.live import Registry
from tests.limits.contract import resolved

ANN = Client("key:ann")
CALL = REQUESTS.read(b'{"model": "m", "max_tokens": 60, "messages": []}')
LONG = REQUESTS.read(
    b'{"model": "m", "max_tokens": 60, "messages": [{"role": "user", "content": "%b"}]}' % (b"x" * 400)
)


class Waiting:
    """A store that waits, as over a network."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.settle = memory.settle
        self.close = memory.close

    async def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict:
        return self._memory.take(costs, lease)


class Counted:
    def __init__(self) -> None:
        self.admitted = Count()
        self.refused: list[str] = []

    def limited(self, level: str) -> None:
        self.refused.append(level)


class Setting:
    """Terms, with the models ``m`` and ``n`` of one provider."""

    def __init__(self, waits: bool, **levels: Limits) -> None:
        config = Config(
            providers={"p": ProviderSettings(base_url="http://127.0.0.1:9/v1")},
            models=[ModelSettings(name="m", provider="p"), ModelSettings(name="n", provider="p")],
        )
        self.catalog = Catalog(config, Registry.of(config.circuit_breaker), version="test", created=0)
        self.m, self.n = self.catalog.deployments
        self.rules = Rules.of(RateLimiting(enabled=True, **levels))
        self.memory = Memory(lambda: 1000.0, 100)
        self.store: Store = Waiting(self.memory) if waits else self.memory
        self.tally = Counted()
        self.snapshot = LimiterSnapshot(self.rules, self.store, itertools.count(1), lambda: 5000.0, self.tally)

    def attempt(self, deployment: Deployment, **facts: Any) -> None:
        """An attempt that has ended."""
        made: Any = Attempt(deployment, *([None] * 2), 0.0, ended=1.0, **facts)  # type: ignore[arg-type]
        self.exchange.attempts.append(made)

    def left_of(self, model: str) -> int:
        """Tokens that the limit of a model has left."""
        assert self.rules.model.tokens is not None
        return round(self.memory.usage(self.rules.model.tokens, model))

    @property
    def left_for_all(self) -> int:
        """Tokens that the global limit has left."""
        assert self.rules.shared.tokens is not None
        return round(self.memory.usage(self.rules.shared.tokens, "all"))

    async def begin(self, client: Client = ANN) -> Reservation:
        self.exchange = Exchange(ENDPOINTS[0], self.catalog, "test", 0.0)
        ask = self.snapshot.client_costs(client)
        reservation = Reservation(self.snapshot, client, self.exchange.attempts, next(self.snapshot.leases), ask.costs)
        if ask.costs:
            reservation.begin(await resolved(self.store.take(ask.costs, reservation.lease)))
        return reservation


@pytest.fixture(params=[False, True], ids=["at once", "waiting"])
def waits(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def entered(reservation: Reservation, deployment: Deployment, waits: bool = False, call: Call = CALL) -> bool:
    answer = reservation.reserve(deployment, ENDPOINTS[0], call)
    assert isinstance(answer, Awaitable) is waits
    return await resolved(answer)


def header_lines(capacity: int, remaining: int, reset: int) -> bytes:
    lines = "X-RateLimit-Limit: {}\r\nX-RateLimit-Remaining: {}\r\nX-RateLimit-Reset: {}\r\n"
    return lines.format(capacity, remaining, reset).encode()


async def test_the_tightest_bucket_is_in_the_headers(waits: bool) -> None:
    setting = Setting(waits, per_client=Limits(requests_per_minute=6), per_model=Limits(requests_per_minute=4))
    reservation = await setting.begin()
    assert reservation.header_lines() == header_lines(6, 5, 5010)
    assert await entered(reservation, setting.m, waits)
    assert reservation.header_lines() == header_lines(4, 3, 5015)
    reservation.settle(setting.exchange)
    assert setting.tally.admitted.value == 1


async def test_headers_have_the_configured_rate_and_the_requests_possible_now(waits: bool) -> None:
    for bounds, lines in (
        (Limits(requests_per_minute=20, burst_size=5), header_lines(20, 4, 5003)),
        (Limits(requests_per_hour=1000, burst_size=10), header_lines(1000, 9, 5004)),
        (Limits(requests_per_minute=7), header_lines(7, 6, 5009)),
        (Limits(concurrent=3), header_lines(3, 2, 5000)),
    ):
        assert (await Setting(waits, per_client=bounds).begin()).header_lines() == lines


async def test_a_later_bucket_with_more_room_is_not_reported(waits: bool) -> None:
    setting = Setting(waits, per_client=Limits(requests_per_minute=4), per_model=Limits(requests_per_minute=6))
    reservation = await setting.begin()
    assert await entered(reservation, setting.m, waits)
    assert reservation.header_lines() == header_lines(4, 3, 5015)


async def test_reserving_a_deployment_twice_costs_once(waits: bool) -> None:
    setting = Setting(waits, per_model=Limits(requests_per_minute=4))
    reservation = await setting.begin()
    assert await entered(reservation, setting.m, waits)
    assert await entered(reservation, setting.m)
    assert setting.memory.usage(setting.rules.model.requests[0], "m") == pytest.approx(3.0)


async def test_a_rejected_deployment_does_not_block_another(waits: bool) -> None:
    setting = Setting(waits, per_model=Limits(requests_per_minute=1))
    assert await entered(await setting.begin(), setting.m, waits)
    reservation = await setting.begin()
    assert not await entered(reservation, setting.m, waits)
    refusal = reservation.refusal()
    assert refusal is not None
    assert refusal.retry_after == 60
    assert await entered(reservation, setting.n, waits)


async def test_a_client_without_tokens_is_rejected_and_its_request_refunded(waits: bool) -> None:
    setting = Setting(waits, per_client=Limits(requests_per_minute=6, tokens_per_minute=100))
    assert await entered(await setting.begin(), setting.m, waits)
    reservation = await setting.begin()
    with pytest.raises(RateLimited):
        await entered(reservation, setting.n, waits)
    reservation.settle(setting.exchange)
    assert (setting.tally.admitted.value, setting.tally.refused) == (0, ["client"])
    assert setting.memory.usage(setting.rules.own.requests[0], ANN.id) == pytest.approx(5.0)


async def test_shared_tokens_of_deployments_are_taken_once(waits: bool) -> None:
    tokens = Limits(tokens_per_minute=1000)
    setting = Setting(waits, global_=tokens, per_model=tokens)
    reservation = await setting.begin()
    assert await entered(reservation, setting.m, waits)
    shared = setting.rules.shared.tokens
    assert shared is not None
    left = setting.memory.usage(shared, "all")
    assert left < 1000.0
    assert await entered(reservation, setting.n, waits)
    assert setting.memory.usage(shared, "all") == left


async def test_a_call_that_was_cut_keeps_its_input_and_the_estimated_output(waits: bool) -> None:
    """The provider has read the request. Of a call that was not sent nothing is kept."""
    tokens = Limits(tokens_per_minute=1000)
    for given_up in (True, False):
        setting = Setting(waits, global_=tokens, per_model=tokens)
        reservation = await setting.begin()
        assert await entered(reservation, setting.m, waits, LONG)
        input_ = 1000 - 60 - setting.left_for_all
        assert input_ > 50
        setting.attempt(setting.m, given_up=given_up, unseen_output=7)
        reservation.settle(setting.exchange)
        kept = input_ + 7 if given_up else 0
        assert (setting.left_of("m"), setting.left_for_all) == (1000 - kept, 1000 - kept)


async def test_an_attempt_that_was_given_up_keeps_its_input_beside_the_answer(waits: bool) -> None:
    tokens = Limits(tokens_per_minute=1000)
    setting = Setting(waits, global_=tokens, per_model=tokens)
    reservation = await setting.begin()
    assert await entered(reservation, setting.m, waits, LONG)
    input_ = 1000 - 60 - setting.left_for_all
    setting.attempt(setting.m, given_up=True, failure="timeout")
    assert await entered(reservation, setting.n, waits, LONG)
    setting.attempt(setting.n)
    setting.exchange.usage = Usage(20, None, 5)
    setting.exchange.outcome = "ok"
    reservation.settle(setting.exchange)
    assert setting.left_of("m") == 1000 - input_
    assert setting.left_of("n") == 1000 - 25
    assert setting.left_for_all == 1000 - 25 - input_


async def test_without_limits_the_store_is_not_used() -> None:
    setting = Setting(True)
    reservation = await setting.begin()
    assert await entered(reservation, setting.m)
    assert reservation.header_lines() == b""


async def test_the_repr_does_not_show_the_prompt() -> None:
    assert repr(await Setting(False).begin()) == "<Reservation 0 grants, lease 1>"
