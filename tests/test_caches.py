from __future__ import annotations

from proxy.caches import LruCache, Memo


def test_the_least_recently_used_entry_is_evicted() -> None:
    recent: LruCache[str, int] = LruCache(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)
    assert len(recent) == 2


def test_replacing_a_value_evicts_nothing() -> None:
    recent: LruCache[str, int] = LruCache(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("b", 3)
    assert (recent.get("a"), recent.get("b")) == (1, 3)


def test_memo_computes_once_and_is_cleared_when_full() -> None:
    class Lengths(Memo[str, int]):
        def compute(self, key: str) -> int:
            computed.append(key)
            return len(key)

        def is_cacheable(self, key: str) -> bool:
            return len(key) < 4

    computed: list[str] = []
    lengths = Lengths(2)
    assert [lengths[key] for key in ("a", "bb", "a", "long", "long")] == [1, 2, 1, 4, 4]
    assert computed == ["a", "bb", "long", "long"]
    assert lengths["c"] == 1
    assert dict(lengths) == {"c": 1}
