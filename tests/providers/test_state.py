"""Provider state that survives a configuration change."""

from __future__ import annotations

from typing import Any

from proxy.config.provider_schema import ProviderSettings as Settings
from proxy.providers.state import ProviderState, state_of


def settings(*keys: str, **more: Any) -> Settings:
    return Settings(**{"base_url": "http://a.example/v1", "api_keys": list(keys)} | more)


def rested(*keys: str) -> ProviderState:
    """Keys with cooldowns until 10, 20, ... seconds; the last one is rate-limited."""
    state = state_of(settings(*keys))
    for number in range(len(keys)):
        key = state.keys.take(0.0)
        assert key is not None
        state.keys.cool_down(key, 10.0 * (number + 1), limited=number == len(keys) - 1)
    return state


def test_a_key_keeps_its_cooldown_at_any_position() -> None:
    before = rested("a", "b")
    same = state_of(settings("a", "b"), before)
    assert (same.keys.free_at(), same.keys.limited) == (10.0, True)
    moved = state_of(settings("b"), before)
    assert (moved.keys.free_at(), moved.keys.limited) == (20.0, True)
    key = moved.keys.take(20.0)
    assert key is not None
    assert (key.number, key.secret) == (0, "b")


def test_a_new_key_has_no_cooldown() -> None:
    assert state_of(settings("a", "b", "new"), rested("a", "b")).keys.free_at() == 0.0
    assert state_of(settings(), rested("a")).keys.free_at() == 0.0


def test_an_attempt_from_before_a_reload_cools_down_the_key_after_it() -> None:
    before = state_of(settings("a"))
    key = before.keys.take(0.0)
    assert key is not None
    after = state_of(settings("a"), before)
    before.keys.cool_down(key, 10.0)
    assert after.keys.take(5.0) is None


def test_a_configured_credential_replaces_all_keys() -> None:
    key = state_of(settings("a", headers={"authorization": "Basic x"})).keys.take(0.0)
    assert key is not None
    assert key.secret == ""


def test_learned_facts_are_kept_for_the_same_address_and_settings() -> None:
    before = state_of(settings("a"))
    assert before.learnt.asks_usage
    before.learnt.asks_usage = False
    assert not state_of(settings("b"), before).learnt.asks_usage
    assert state_of(settings("a", base_url="http://b.example/v1"), before).learnt.asks_usage
    assert state_of(settings("a", usage_in_stream="always"), before).learnt.asks_usage
    assert not state_of(settings("a", usage_in_stream="never")).learnt.asks_usage
