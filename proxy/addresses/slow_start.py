"""Slow start: the weight of an address grows in steps after it joined or recovered.

As in Envoy, with a ramp that is a straight line:
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start
"""

from __future__ import annotations

from typing import Final

from proxy.addresses.live import LiveAddress

STEPS: Final = 20  # a full weight is so many parts; the first is there at once


def steps(address: LiveAddress, now: float, secs: float) -> int:
    """How many of the ``STEPS`` parts of its weight the address has. ``secs``: until it has all."""
    if address.warm:
        return STEPS
    age = now - address.since
    if age >= secs:
        address.warm = True
        return STEPS
    return max(0, int(age * STEPS / secs)) + 1
