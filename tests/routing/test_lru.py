from __future__ import annotations

from proxy.routing.lru import LruCache


def test_what_was_not_asked_for_the_longest_time_is_forgotten() -> None:
    recent: LruCache[str, int] = LruCache(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)
    assert len(recent) == 2


def test_a_new_value_for_a_key_takes_no_room() -> None:
    recent: LruCache[str, int] = LruCache(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("b", 3)
    assert (recent.get("a"), recent.get("b")) == (1, 3)
