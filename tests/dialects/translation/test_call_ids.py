from __future__ import annotations

from proxy.dialects.translation.call_ids import CallIds


def test_results_get_the_ids_of_their_calls_in_order() -> None:
    ids = CallIds()
    calls = [ids.of_call("a"), ids.of_call("a"), ids.of_call("b")]
    assert calls == ["a", "a_2", "b"]
    assert [ids.of_result("a"), ids.of_result("b"), ids.of_result("a")] == ["a", "b", "a_2"]


def test_a_made_up_id_is_not_that_of_another_call() -> None:
    ids = CallIds()
    assert [ids.of_call(each) for each in ("a_2", "a", "a", "a_2")] == ["a_2", "a", "a_3", "a_2_2"]


def test_an_id_that_every_call_has_takes_linear_time() -> None:
    ids = CallIds()
    calls = [ids.of_call("a") for _ in range(50_000)]
    assert [ids.of_result("a") for _ in calls] == calls
    assert len(set(calls)) == len(calls)
