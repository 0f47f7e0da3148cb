"""Rejected requests of one client do not affect another one."""

from __future__ import annotations

import pytest

from tests.blame import LATE, REFUSALS, Account, play

ROUNDS = 3


def disturbed(account: Account) -> bool:
    """Whether each refusal came ``ROUNDS`` times: breakers open at the third failure."""
    seen = dict.fromkeys((*REFUSALS, *LATE), 0)
    for (name, _), count in account.refused.items():
        seen[name] += count
    return min(seen.values()) >= 2 * ROUNDS


@pytest.mark.parametrize("spare", [False, True], ids=["alone", "with a fallback"])
@pytest.mark.parametrize("keys", [0, 1, 3])
async def test_rejected_requests_of_one_client_cost_another_client_nothing(keys: int, spare: bool) -> None:
    account = await play(keys, lambda account: not disturbed(account), spare)
    assert account.errors == 0, account.served
    assert account.served[200] > 0
    if not spare:
        assert {status for _, status in account.refused} == {400, 402, 403, 404, 413, 422, 429}  # no 401: it is ours
