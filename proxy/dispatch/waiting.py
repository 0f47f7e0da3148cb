"""The waits of one exchange: for a cooldown, a backoff, or a probe of another request.

A rate-limited provider still serves requests. If no other deployment is left, a request waits for the end of a short
cooldown, or until it may be the probe. So it does not fail because of another request's 429.
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

MAX_WAIT: Final = 60.0  # seconds; all waits of one exchange together
POLL: Final = 0.25  # seconds between two checks of a running probe


class WaitBudget:
    """The rest of ``MAX_WAIT``. ``pings``: the client waits for a stream, and gets pings meanwhile.

    Methods return ``False`` (or ``None``) without waiting to the end if that would exceed ``MAX_WAIT`` or ``deadline``.
    They raise ClientGone.
    """

    __slots__ = ("_dispatcher", "_pings", "_responder", "_waited")

    def __init__(self, dispatcher: Dispatcher, responder: Responder, *, pings: bool) -> None:
        self._dispatcher = dispatcher
        self._responder = responder
        self._pings = pings
        self._waited = 0.0

    def __repr__(self) -> str:
        return f"<WaitBudget {MAX_WAIT - self._waited} s left>"

    async def wait(self, seconds: float, deadline: float) -> bool:
        """Wait for ``seconds``."""
        now = self._dispatcher.now()
        if self._waited + seconds > MAX_WAIT or now + seconds >= deadline:
            return False
        self._waited += seconds
        await self._dispatcher.wait(seconds, self._responder, pings=self._pings)
        if self._responder.request.gone:
            raise ClientGone
        return True

    async def wait_for_cooldown(self, deployment: Deployment, deadline: float) -> bool:
        """Wait for the end of the cooldown of ``deployment``."""
        # In a loop: other requests may extend it, and the loop's timers, which count milliseconds, may be early.
        quota = deployment.live.quota
        while (left := quota.cooldown_until - self._dispatcher.now()) > 0:
            if quota.refused_until > quota.cooldown_until or not await self.wait(left, deadline):
                return False
        return True

    async def wait_for_limits(self, plan: Plan, deployment: Deployment, deadline: float) -> bool:
        """Wait until ``deployment``, which the plan proposed, may be tried. Waits for rate limits only."""
        plan.probe_early = True
        while not plan.may_retry(deployment, now := self._dispatcher.now()):
            if not await self._wait_once(plan, now, deadline, deployment):
                return False
        return True

    async def wait_for_candidate(
        self, plan: Plan, find: Callable[[], Deployment | None], deadline: float
    ) -> Deployment | None:
        """Wait until ``find`` returns a deployment. Waits for rate limits only."""
        plan.probe_early = True
        now = self._dispatcher.now()  # before ``find``: a cooldown that ends in between still counts
        while (found := find()) is None:
            if not await self._wait_once(plan, now, deadline):
                return None
            now = self._dispatcher.now()
        return found

    async def _wait_once(self, plan: Plan, now: float, deadline: float, deployment: Deployment | None = None) -> bool:
        seconds = plan.wait_secs(now, deployment)
        return seconds is not None and await self.wait(seconds or POLL, deadline)
