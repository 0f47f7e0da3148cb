from random import Random

from proxy.services.discovery.backoff import FIRST_SECS, LONGEST_SECS, delay


def test_delays_double_up_to_a_bound_and_half_of_each_is_random() -> None:
    chance = Random(1)
    for failures in range(1, 40):
        whole = min(FIRST_SECS * 2 ** (failures - 1), LONGEST_SECS)
        made = [delay(failures, chance) for _ in range(200)]
        assert whole / 2 <= min(made) < max(made) <= whole
        assert max(made) - min(made) > whole / 4
