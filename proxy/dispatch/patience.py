"""How long one exchange waits before it sends a request again, or at all.

A rate limit is no outage: the provider answers, if not everybody at once. Where no other deployment is left, a request
waits for the end of a short cooldown, or for its turn as the probe, instead of being refused because of a 429 that
another one got.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.errors import ClientGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.dispatch.dispatcher import Dispatcher
    from proxy.responder import Responder
    from proxy.routing.deployment import Deployment
    from proxy.routing.plan import Plan

MAX_WAIT: Final = 60.0  # seconds; how long one exchange waits in all
POLL: Final = 0.25  # seconds; how often it is seen whether a probe is back


class Patience:
    """``pings``: whether the client waits for a stream, so that it gets pings meanwhile."""

    __slots__ = ("_dispatcher", "_pings", "_responder", "_waited")

    def __init__(self, dispatcher: Dispatcher, responder: Responder, *, pings: bool) -> None:
        self._dispatcher = dispatcher
        self._responder = responder
        self._pings = pings
        self._waited = 0.0

    def __repr__(self) -> str:
        return f"<Patience {MAX_WAIT - self._waited} s left>"

    async def wait(self, seconds: float, deadline: float) -> bool:
        """Whether there was time for it. Raises ClientGone if the client left meanwhile."""
        now = self._dispatcher.now()
        if self._waited + seconds > MAX_WAIT or now + seconds >= deadline:
            return False
        self._waited += seconds
        await self._dispatcher.wait(seconds, self._responder, pings=self._pings)
        if self._responder.request.gone:
            raise ClientGone
        return True

    async def cooled(self, deployment: Deployment, deadline: float) -> bool:
        """Wait for the end of its cooldown. Meanwhile others may have made it longer, and the loop's timers, which
        count whole milliseconds, may wake us a moment early."""
        quota = deployment.live.quota
        while (left := quota.cooldown_until - self._dispatcher.now()) > 0:
            if quota.refused_until > quota.cooldown_until or not await self.wait(left, deadline):
                return False
        return True

    async def readmitted(self, plan: Plan, deployment: Deployment, deadline: float) -> bool:
        """Wait until ``deployment``, which was proposed before, may be tried, while only rate limits are against it."""
        plan.probe_early = True
        while not plan.may_retry(deployment, now := self._dispatcher.now()):
            if not await self._wait_for_limits(plan, now, deadline, deployment):
                return False
        return True

    async def found(self, plan: Plan, find: Callable[[], Deployment | None], deadline: float) -> Deployment | None:
        """Wait until ``find`` has a deployment, while rate limits are what keeps it from one."""
        plan.probe_early = True
        now = self._dispatcher.now()  # before ``find`` looks: a cooldown that ends in between is still one to wait for
        while (found := find()) is None:
            if not await self._wait_for_limits(plan, now, deadline):
                return None
            now = self._dispatcher.now()
        return found

    async def _wait_for_limits(
        self, plan: Plan, now: float, deadline: float, deployment: Deployment | None = None
    ) -> bool:
        seconds = plan.wait_secs(now, deployment)
        return seconds is not None and await self.wait(seconds or POLL, deadline)
