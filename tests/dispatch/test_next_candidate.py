"""What follows a failure in time: how long a retry waits, whether a key takes over, who is passed over meanwhile."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest

from proxy.routing.catalog import Catalog
from tests.dispatch.rig import WHOLE, Result, Rig
from tests.dispatch.test_dispatch import ROWS, live, refused, two_providers
from tests.support import Answer
from tests.support.catalogs import build
from tests.support.clock import MIDNIGHT


async def waits(result: Result, **routing: Any) -> tuple[Answer, list[float], int]:
    """The client's answer where the only provider always fails so, the seconds slept, and how often it was tried."""
    rig = Rig(two_providers("alone", **routing), {"first/m": result})
    answer = await rig.ask("m")
    return answer, rig.clock.slept, len(rig.tried)


# -- after a rate limit -------------------------------------------------------------------------------


async def test_a_429_is_waited_for_as_long_as_it_says() -> None:
    answer, slept, tried = await waits(refused(429, Retry_After="7"))
    assert (answer.status, slept, tried) == (429, pytest.approx([7, 7]), 3)
    assert answer.header("retry-after") == "7"


async def test_a_429_with_a_date_is_waited_for_until_then() -> None:
    at_seven = formatdate(MIDNIGHT + 7, usegmt=True)
    answer, slept, tried = await waits(refused(429, Retry_After=at_seven), rateLimitRetries=1)
    assert (answer.status, slept, tried) == (429, pytest.approx([7]), 2)


async def test_a_429_without_a_time_is_waited_for_twice_as_long_each_time() -> None:
    answer, slept, tried = await waits(refused(429), retryDelay=200, rateLimitRetries=4)
    assert (answer.status, tried, len(slept)) == (429, 5, 4)
    for number, seconds in enumerate(slept):
        assert 0.2 * 2**number <= seconds <= 0.3 * 2**number


async def test_no_request_waits_longer_than_the_deadline_or_a_minute() -> None:
    answer, slept, tried = await waits(refused(429, Retry_After="7"), deadlineSecs=5)
    assert (answer.status, slept, tried, answer.header("retry-after")) == (429, [], 1, "7")
    answer, slept, tried = await waits(refused(429, Retry_After="61"))
    assert (answer.status, slept, tried, answer.header("retry-after")) == (429, [], 1, "60")
    answer, slept, tried = await waits(refused(429, Retry_After="35"), rateLimitRetries=5)
    assert (answer.status, slept, tried) == (429, pytest.approx([35]), 2)


async def test_a_deployment_in_cooldown_is_passed_over_and_comes_back() -> None:
    rig = Rig(two_providers("equal"), {"first/m": [refused(429, Retry_After="30"), WHOLE], "second/m": WHOLE})
    for _ in range(4):
        assert (await rig.ask("m")).header("x-router-provider") == "second"
    assert rig.tried.count("first/m") == 1
    rig.clock.advance(31)
    assert "first" in [(await rig.ask("m")).header("x-router-provider") for _ in range(2)]
    assert rig.clock.slept == []


async def test_the_only_deployment_is_not_tried_in_a_long_cooldown_and_the_client_learns_when_it_ends() -> None:
    rig = Rig(two_providers("alone"), {"first/m": refused(429, Retry_After="61")})
    for _ in range(3):
        answer = await rig.ask("m")
        assert (answer.status, answer.header("retry-after")) == (429, "60")
        assert answer.json["error"]["type"] == "rate_limit_error"
    assert rig.tried == ["first/m"]


# -- after a reset, or a server error -----------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("reset", 2), ("500", 1), ("empty answer", 1)])
async def test_the_same_deployment_is_tried_again_after_a_backoff(name: str, count: int) -> None:
    _, slept, tried = await waits(ROWS[name].result, retryDelay=200)
    assert (tried, len(slept)) == (count + 1, count)
    for number, seconds in enumerate(slept):
        assert 0.2 * 2**number <= seconds <= 0.3 * 2**number


async def test_a_retry_after_of_a_server_error_is_honored() -> None:
    _, slept, _ = await waits(refused(503, Retry_After="9"))
    assert slept == pytest.approx([9])


async def test_without_retries_the_same_deployment_is_not_tried_again() -> None:
    for name in ("429", "reset", "500"):
        _, slept, tried = await waits(ROWS[name].result, maxRetries=0)
        assert (slept, tried) == ([], 1)


async def test_a_backoff_does_not_end_after_the_deadline() -> None:
    _, slept, tried = await waits(ROWS["reset"].result, retryDelay=6000, deadlineSecs=5)
    assert (slept, tried) == ([], 1)


# -- after a refused key ------------------------------------------------------------------------------


def keyed(count: int, **routing: Any) -> Catalog:
    """``m`` at ``first``, which has so many keys, then ``b`` at ``second``."""
    keys = [f"key-{number}" for number in range(count)]
    return build(
        [{"name": "m", "provider": "first"}, {"name": "b", "provider": "second"}],
        {
            "first": {"baseUrl": "http://first.example/v1", "apiKeys": keys},
            "second": {"baseUrl": "http://second.example/v1"},
        },
        **routing,
    )


@pytest.mark.parametrize("name", ["401", "out of quota"])
async def test_another_key_takes_over_once_then_another_candidate(name: str) -> None:
    rig = Rig(keyed(3), {"first/m": ROWS[name].result, "second/b": WHOLE})
    assert (await rig.ask("m", "b")).header("x-router-provider") == "second"
    assert rig.tried == ["first/m", "first/m", "second/b"]
    assert [warning["key"] for warning in rig.warnings] == [1, 2]
    assert live(rig, "first/m").breaker.failures == 0  # a third key is left


async def test_a_key_that_took_over_is_used_from_then_on() -> None:
    rig = Rig(keyed(2), {"first/m": [ROWS["401"].result, WHOLE], "second/b": WHOLE})
    for _ in range(3):
        assert (await rig.ask("m", "b")).header("x-router-provider") == "first"
    assert rig.tried == ["first/m"] * 4


async def test_the_last_key_is_not_cooled_down_but_a_failure_of_the_deployment() -> None:
    rig = Rig(keyed(2), {"first/m": ROWS["401"].result, "second/b": WHOLE})
    await rig.ask("m", "b")
    assert live(rig, "first/m").breaker.failures == 1
    assert len(rig.warnings) == 1


@pytest.mark.parametrize(("kind", "provider"), [("401", None), ("out of quota", "second")])
async def test_on_auth_error_fail_tells_the_client_of_a_refused_key(kind: str, provider: str | None) -> None:
    rig = Rig(keyed(1, onAuthError="fail"), {"first/m": ROWS[kind].result, "second/b": WHOLE})
    answer = await rig.ask("m", "b")
    assert (answer.status == 200) == (provider is not None)
    assert rig.tried == ["first/m"] + ["second/b"] * (provider is not None)


async def test_a_rate_limited_key_is_cooled_down_alone() -> None:
    rig = Rig(keyed(2), {"first/m": [refused(429, Retry_After="30"), WHOLE], "second/b": WHOLE})
    assert (await rig.ask("m", "b")).header("x-router-provider") == "first"
    assert rig.tried == ["first/m", "first/m"]
    keys = rig.deployment("first/m").provider.keys
    assert (keys.cooling(rig.clock.now()), rig.clock.slept) == (1, [])


# -- the fallback -------------------------------------------------------------------------------------


async def test_where_every_candidate_is_in_cooldown_the_fallback_is_tried_first() -> None:
    rig = Rig(two_providers("fallback"), {"first/m": refused(429, Retry_After="61"), "second/b": WHOLE})
    for _ in range(2):
        assert (await rig.ask("m")).header("x-router-fallback-used") == "true"
    assert rig.tried == ["first/m", "second/b", "second/b"]


async def test_a_name_that_no_provider_has_is_not_answered_by_the_fallback() -> None:
    catalog = build(
        [{"name": "m", "provider": "up"}],
        {"up": {"baseUrl": "http://up.example/v1"}, "open": {"baseUrl": "http://open.example/v1", "anyModel": True}},
        fallback={"provider": "up", "model": "m"},
    )
    rig = Rig(catalog, {})
    dispatch = rig.dispatch("open/typo")
    found = dispatch.plan.next(rig.clock.now())
    assert found is not None
    rig.results[found.label] = [ROWS["model missing"].result]
    answer = await rig.ask("open/typo")
    assert (answer.status, rig.tried) == (404, [found.label])
