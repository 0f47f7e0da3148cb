"""The routes of what every deployment does, and of the operator's hand on its breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct, json

from proxy.breakers.breaker import Breaker
from proxy.control.activity.samples import Deployments
from proxy.control.deployments.index import DeploymentIndex, Member
from proxy.control.deployments.views import Clock, DeploymentView, deployment_view
from proxy.control.http.replies import JSON, send
from proxy.errors import ClientFault
from proxy.routing.statistics import Statistics
from proxy.server.connection import Request

# So many deployments are formatted before the loop gets its turn: about 1 ms.
SLICE = 16

_encode = json.Encoder().encode


class Changed(Struct):
    """What became of all deployments of a name."""

    deployments: list[DeploymentView]


class States:
    """``samples`` are the recorder's; ``clock`` goes by the time of breakers and statistics."""

    def __init__(self, roster: DeploymentIndex, samples: Deployments, clock: Clock) -> None:
        self._roster = roster
        self._samples = samples
        self._clock = clock

    async def all(self, request: Request) -> None:
        """GET /admin/state."""
        pieces: list[bytes] = []
        for number, member in enumerate(list(self._roster), 1):
            pieces.append(_encode(self._view(member)))
            if number % SLICE == 0:
                await asyncio.sleep(0)
        now = self._clock.told(self._clock.now())
        request.reply.send(200, JSON, b'{"now":%b,"deployments":[%b]}' % (_encode(now), b",".join(pieces)))

    async def reset(self, request: Request, name: str) -> None:
        """POST /admin/state/{id}/reset: nothing is held against it any more, its provider's keys included."""
        self._act(request, name, self._forget)

    async def open(self, request: Request, name: str) -> None:
        """POST /admin/state/{id}/open: nobody is sent there until it is closed or reset."""
        self._act(request, name, lambda member: member.live.breaker.trip(self._clock.now(), "operator"))

    async def close(self, request: Request, name: str) -> None:
        """POST /admin/state/{id}/close: it is asked again at once; what is known of it stays."""
        self._act(request, name, lambda member: self._close(member.live.breaker))

    def _act(self, request: Request, name: str, act: Callable[[Member], None]) -> None:
        """The answer is the deployment; for the name of a model all its deployments."""
        members = self._roster.named(name)
        if not members:
            raise ClientFault("There is no such deployment.", status=404, code="unknown_deployment")
        for member in members:
            act(member)
        views = [self._view(member) for member in members]
        send(request, 200, views[0] if members[0].id == name else Changed(views))

    def _view(self, member: Member) -> DeploymentView:
        return deployment_view(member, self._samples.get(member.live.key), self._clock)

    def _close(self, breaker: Breaker) -> None:
        breaker.reset(self._clock.now())

    def _forget(self, member: Member) -> None:
        live = member.live
        live.breaker.reset(self._clock.now())
        live.statistics = Statistics(live.statistics.window)
        live.quota.lift()
        member.provider.keys.reset()
        self._samples.pop(live.key, None)
