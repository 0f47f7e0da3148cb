from __future__ import annotations

import msgspec
import pytest

from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.batch import Batch, answers, decoded, verdict
from proxy.limits.bucket import BOUND

TOKENS = Limit("model", "tokensPerMinute", "model:tokensPerMinute", 600.0, 10.0)
SLOTS = Limit("model", "concurrent", "model:concurrent", 4.0, 0.0)


def test_every_bucket_is_named_once_and_buckets_come_before_slots() -> None:
    batch = Batch("sluice")
    batch.take([Cost(SLOTS, "gpt"), Cost(TOKENS, "gpt", 100.0)], 7)
    batch.take([Cost(TOKENS, "gpt", 5.0), Cost(TOKENS, "other", 1.0)], 8)
    batch.correct(Cost(TOKENS, "gpt", -20.0))
    batch.release(("model:concurrent", "gpt"), 3)
    batch.release(("model:concurrent", "gpt"), 4)
    batch.renew(("model:concurrent", "other"), 5)
    assert batch.keys() == [
        b"{sluice}:model:tokensPerMinute:gpt",
        b"{sluice}:model:tokensPerMinute:other",
        b"{sluice}:model:concurrent:gpt",
        b"{sluice}:model:concurrent:other",
    ]
    assert msgspec.msgpack.decode(batch.argument(None, "me", 15.0, 0.0)) == [
        False,
        "me",
        15e6,
        0.0,
        BOUND,
        2,
        [1, -2e6, 60e6],
        [[-1, 3, 4]],
        [[-2, 5]],
        [[7, -1, 1, 4.0, 1, 10e6, 60e6], [8, 1, 0.5e6, 60e6, 2, 0.1e6, 60e6]],
    ]


@pytest.mark.parametrize(
    ("amount", "which", "used", "expected"),
    [
        pytest.param(100.0, 1, 15e6, Verdict(True, TOKENS, 450.0, 15.0, 0.0), id="granted"),
        pytest.param(100.0, -1, 55e6, Verdict(False, TOKENS, 50.0, 55.0, 5.0), id="refused"),
        pytest.param(100.0, -1, 100e6, Verdict(False, TOKENS, 0.0, 100.0, 50.0), id="in debt"),
    ],
)
def test_script_results_become_remaining_tokens(amount: float, which: int, used: float, expected: Verdict) -> None:
    assert verdict([Cost(TOKENS, "gpt", amount)], which, used) == expected


def test_slots_are_counted() -> None:
    costs = [Cost(TOKENS, "gpt"), Cost(SLOTS, "gpt")]
    assert verdict(costs, 2, 3.0) == Verdict(True, SLOTS, 1.0, 0.0, 0.0)
    assert verdict(costs, -2, 4.0) == Verdict(False, SLOTS, 0.0, 0.0, 1.0)
    assert verdict(costs, -2, 9.0) == Verdict(False, SLOTS, 0.0, 0.0, 1.0)


def test_script_results_come_in_pairs() -> None:
    assert answers(decoded(msgspec.msgpack.encode([1, 2.5, -3, 4]), False).answers) == [(1, 2.5), (-3, 4.0)]


@pytest.mark.parametrize("reply", [b"", b"OK", msgspec.msgpack.encode(["1"]), msgspec.msgpack.encode(None)])
def test_an_invalid_script_result_is_rejected(reply: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoded(reply, False)
