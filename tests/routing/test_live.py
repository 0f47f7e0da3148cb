from __future__ import annotations

from proxy.breakers.breaker import Breaker, Policy, State
from proxy.config.schema import CircuitBreaker
from proxy.routing.live import MOST_UNLISTED, LiveState, Quota, Registry, policy_of, window_of

POLICY = Policy(failure_threshold=1, cooldown=60.0, success_threshold=1)


def registry() -> Registry:
    return Registry(POLICY, 300.0)


def passing(lives: Registry, number: int) -> LiveState:
    return lives.live(f"made-up-{number}", unlisted=True)


def test_a_key_always_finds_the_same_live_state() -> None:
    lives = registry()
    first = lives.live("openai/gpt")
    assert lives.live("openai/gpt") is first
    assert lives.live("other/gpt") is not first
    assert first.key == first.breaker.key == "openai/gpt"
    assert [live.key for live in lives] == ["openai/gpt", "other/gpt"]
    assert len(lives) == 2


def test_a_quota_group_shares_its_cooldown() -> None:
    lives = registry()
    one, two, alone = lives.live("one", "account"), lives.live("two", "account"), lives.live("alone")
    one.quota.cool_down(50.0)
    assert (one.quota.cooldown_until, two.quota.cooldown_until, alone.quota.cooldown_until) == (50.0, 50.0, 0.0)


def test_deployments_without_a_group_have_their_own_cooldown() -> None:
    lives = registry()
    lives.live("one").quota.cool_down(50.0)
    assert lives.live("two").quota.cooldown_until == 0.0
    assert lives.live("one").quota.cooldown_until == 50.0


def test_a_cooldown_is_never_shortened() -> None:
    quota = Quota()
    quota.cool_down(50.0)
    quota.cool_down(20.0)
    assert quota.cooldown_until == 50.0
    quota.cool_down(51.0)
    assert quota.cooldown_until == 51.0


def test_a_deployment_that_changes_its_group_stays_the_same_otherwise() -> None:
    lives = registry()
    live, member = lives.live("one"), lives.live("two", "account")
    member.quota.cool_down(50.0)
    assert lives.live("one", "account") is live
    assert live.quota is member.quota
    assert lives.live("one").quota.cooldown_until == 0.0
    assert member.quota.cooldown_until == 50.0


def test_a_reload_changes_only_the_thresholds() -> None:
    lives = registry()
    live = lives.live("openai/gpt")
    live.in_flight = 3
    live.breaker.fail(live.breaker.acquire("chat", 10.0), 10.0, "status_500")
    live.statistics.record(False, 10.0)
    live.statistics.record_first_token(0.5, 10.0)
    live.quota.cool_down(99.0)
    policy = Policy(failure_threshold=5, cooldown=30.0, success_threshold=2)
    lives.adopt(policy, 600.0, 20.0)
    assert lives.live("openai/gpt") is live
    assert (live.breaker.state, live.breaker.failures, live.breaker.retry_at) == ("open", 1, 40.0)
    assert (live.statistics.window, live.statistics.counts(20.0), live.statistics.latency) == (600.0, (1, 1), 0.5)
    assert (live.in_flight, live.quota.cooldown_until) == (3, 99.0)
    assert lives.live("new").breaker.policy is live.breaker.policy is policy
    assert lives.live("new").statistics.window == 600.0


def test_a_reload_clears_missing_models() -> None:
    lives = registry()
    breaker = lives.live("openai/gpt").breaker
    breaker.missing("chat", 10.0)
    assert not breaker.admits("chat", 11.0)
    lives.adopt(POLICY, 300.0, 12.0)
    assert breaker.admits("chat", 12.0)
    assert (breaker.state, breaker.since) == ("closed", 12.0)


def test_all_breakers_report_changes_to_one_callback() -> None:
    changes: list[tuple[str, State, State, float]] = []

    def listen(breaker: Breaker, old: State, now: float) -> None:
        changes.append((breaker.key, old, breaker.state, now))

    lives = Registry(POLICY, 300.0, listen)
    lives.live("one").breaker.trip(5.0, "operator")
    passing(lives, 1).breaker.trip(6.0, "operator")
    assert changes == [("one", "closed", "open", 5.0), ("made-up-1", "closed", "open", 6.0)]


def test_unlisted_live_states_are_bounded_and_the_oldest_is_evicted() -> None:
    lives = registry()
    configured = lives.live("configured")
    first = passing(lives, 0)
    for number in range(1, MOST_UNLISTED):
        passing(lives, number)
    assert passing(lives, 0) is first  # used again: no longer the oldest
    for number in range(MOST_UNLISTED, MOST_UNLISTED + 5):
        passing(lives, number)
    keys = {live.key for live in lives}
    assert len(lives) == MOST_UNLISTED + 1
    assert passing(lives, 0) is first
    assert keys.isdisjoint(f"made-up-{number}" for number in range(1, 6))
    assert lives.live("configured") is configured


def test_an_idle_live_state_is_evicted_before_one_in_flight() -> None:
    lives = registry()
    busy = passing(lives, 0)
    busy.in_flight = 1
    for number in range(1, MOST_UNLISTED + 1):
        passing(lives, number)
    keys = [live.key for live in lives]
    assert busy.key in keys
    assert "made-up-1" not in keys


def test_the_bound_holds_if_all_unlisted_states_are_in_flight() -> None:
    lives = registry()
    for number in range(MOST_UNLISTED + 3):
        passing(lives, number).in_flight = 1
    assert len(lives) == MOST_UNLISTED


def test_an_unlisted_name_keeps_its_state_when_it_is_configured() -> None:
    lives = registry()
    live = passing(lives, 0)
    assert lives.live(live.key) is live
    assert passing(lives, 0) is live
    for number in range(1, MOST_UNLISTED + 2):
        passing(lives, number)
    assert lives.live(live.key) is live


def test_the_configuration_gives_thresholds_in_seconds() -> None:
    circuit = CircuitBreaker(
        failure_threshold=4, cooldown_period_secs=7.5, success_threshold=3, stats_window_size_mins=2.0
    )
    assert policy_of(circuit) == Policy(4, 7.5, 3, 120.0)
    assert window_of(circuit) == 120.0
    live = Registry.of(circuit).live("one")
    assert live.breaker.policy == Policy(4, 7.5, 3, 120.0)
    assert live.statistics.window == 120.0


def test_live_states_have_readable_reprs() -> None:
    live = registry().live("one", "account")
    assert repr(live) == "<Live one closed, 0 in flight>"
    assert repr(live.quota) == "<Quota account, cooldown until 0.0>"
    assert repr(live.statistics) == "<Statistics 0 ended, 0 of them failed, latency None>"


def test_a_breaker_that_is_disabled_never_opens() -> None:
    registry = Registry(policy_of(CircuitBreaker(enabled=False, failure_threshold=1)), 60.0)
    breaker = registry.live("a", "").breaker
    for _ in range(100):
        breaker.fail(breaker.acquire("chat/completions", 0.0), 0.0, "test")
    assert breaker.state == "closed"


def test_states_of_addresses_that_left_are_kept_for_their_return_up_to_a_bound() -> None:
    lives = registry()
    stays, left = lives.live("stays"), lives.live("left")
    lives.retire({"stays"})
    assert (lives.breaker("stays"), lives.breaker("left")) == (stays.breaker, None)
    assert lives.live("left") is left
    for number in range(MOST_UNLISTED + 1):
        lives.live(f"pod-{number}")
        lives.retire({"stays"})
    assert len(lives) == MOST_UNLISTED + 1
    assert lives.live("left") is not left
