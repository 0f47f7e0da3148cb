"""Unit tests of the hostile client. Its measurements are not asserted, as tests are not timed."""

from __future__ import annotations

import pytest

from tests.hostile import attacks
from tests.hostile.__main__ import MEMORY_TARGET, _loopback, _verdict
from tests.hostile.drive import Health, Outcome

ATTACK = next(attacks.every(own_provider=True))
HEALTH = Health(("127.0.0.1", 1))


def outcome(peak: int = 0, slowest: float = 0.0, wrong: str = "") -> Outcome:
    return Outcome(ATTACK, 200, peak, slowest, wrong)


def test_every_item_is_driven() -> None:
    assert {attack.item for attack in attacks.every(own_provider=False)} == {"D31", "D32", "D33", "D34"}


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (outcome(), 0),
        (outcome(peak=MEMORY_TARGET, slowest=0.2), 0),
        (outcome(peak=MEMORY_TARGET + 1), 1),
        (outcome(slowest=0.21), 1),
        (outcome(wrong="answered 500"), 1),
    ],
)
def test_the_exit_status_is_1_if_a_target_is_missed(seen: Outcome, status: int) -> None:
    assert _verdict([outcome(), seen], HEALTH) == status


def test_nothing_attacked_is_a_failure() -> None:
    assert _verdict([], HEALTH) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000"])
def test_loopback_is_attacked(url: str) -> None:
    assert _loopback(url)[1] == 8000


@pytest.mark.parametrize("url", ["http://192.0.2.1:8000", "https://127.0.0.1:8000", "http://10.0.0.1", "nonsense"])
def test_nothing_but_loopback_is_attacked(url: str) -> None:
    with pytest.raises(SystemExit):
        _loopback(url)
