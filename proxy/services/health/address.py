"""An address that is checked: its state, and what the result of a check changes."""

from __future__ import annotations

from math import inf
from typing import Final

from msgspec import Struct

from proxy.addresses.live import LiveAddress
from proxy.config.provider_schema import Tls
from proxy.config.service_schema import HealthCheck
from proxy.services.health.history import AddressHealth, HealthHistory

FRESH_INTERVALS: Final = 3  # for so many intervals a result of another replica counts,
FRESH_SECS: Final = 60.0  # and at least for so many seconds: until another one has taken over
AWAITED_SECS: Final = 10.0  # for which the first result of another replica is waited for

Key = tuple[str, str]
"""The name of a service, and the URL of one of its addresses."""


class CheckResult(Struct, frozen=True):
    """One check. ``at``: Unix seconds. ``seconds`` it took; ``None``: another replica made it. ``why`` it failed."""

    passed: bool
    at: float
    seconds: float | None
    why: str = ""


class CheckedAddress:
    """``due``: when it is checked next. ``streak``: checks that passed in a row, or failed, if it is negative.

    ``elsewhere_until``: until then a result of another replica counts, or is waited for. ``published``: the health that
    was published last, at ``published_at``. Times are monotonic seconds. ``gone``: it is not checked any more.
    """

    __slots__ = (
        "check",
        "due",
        "elsewhere_until",
        "gone",
        "history",
        "last",
        "live",
        "published",
        "published_at",
        "running",
        "streak",
        "tls",
    )

    def __init__(self, live: LiveAddress, check: HealthCheck, tls: Tls, now: float) -> None:
        self.live = live
        self.check = check
        self.tls = tls
        self.due = now
        self.streak = 0
        self.elsewhere_until = now + AWAITED_SECS + check.timeout_secs
        self.published: bool | None = None
        self.published_at = -inf
        self.last: CheckResult | None = None
        self.history = HealthHistory()
        self.running = False
        self.gone = False

    def __repr__(self) -> str:
        return f"<CheckedAddress {self.live.service} {self.live.url} healthy={self.live.healthy} streak={self.streak}>"

    @property
    def key(self) -> Key:
        return self.live.service, self.live.url

    @property
    def fresh_secs(self) -> float:
        """For how long a result of another replica counts."""
        return max(FRESH_SECS, FRESH_INTERVALS * self.check.interval_secs + self.check.timeout_secs)

    def stale(self, now: float) -> bool:
        """Whether what is known of it came from another replica, too long ago."""
        return self.last is not None and self.last.seconds is None and now >= self.elsewhere_until

    def judge(self, passed: bool) -> bool | None:
        """The health after a check. The first one decides at once."""
        self.streak = max(self.streak, 0) + 1 if passed else min(self.streak, 0) - 1
        healthy = self.live.healthy
        if healthy is None:
            return passed
        if healthy:
            return -self.streak < self.check.unhealthy
        return self.streak >= self.check.healthy

    def view(self) -> AddressHealth:
        last = self.last
        return AddressHealth(
            url=self.live.url,
            healthy=self.live.healthy,
            checked_at=None if last is None else last.at,
            seconds=None if last is None else last.seconds,
            why="" if last is None else last.why,
            here=last is not None and last.seconds is not None,
            changes=self.history.latest(),
        )
