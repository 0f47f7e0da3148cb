"""A request to a service with all its attempts, from its admission to its settlement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from msgspec import Struct

from proxy.addresses.live import LiveAddress
from proxy.client.head import Head
from proxy.errors import ClientGone, GatewayError, UpstreamFault
from proxy.server.request import Request
from proxy.services.exchange import ServiceExchange
from proxy.services.live_service import LiveService
from proxy.services.relay.address_use import use_of
from proxy.services.relay.call import ServiceCall
from proxy.services.relay.context import RelayContext
from proxy.services.relay.faults import no_address
from proxy.services.relay.header_tables import answer_verdicts, passing_lines
from proxy.services.relay.request_body import RequestBody
from proxy.services.relay.retries import SAFE_TO_REPEAT, pause_before
from proxy.services.relay.route_rules import RouteRules


class RelayedRequest(Struct, eq=False):
    """The request's flow. Call ``run`` once, and then always ``finish``.

    ``path``: for the service, after the path of its address. ``host``: the client's. ``lines``: header lines of the
    request for every address. ``own_lines``: those that the gateway adds to the answer. ``key``: of stickiness.
    """

    relay: RelayContext
    request: Request
    exchange: ServiceExchange
    service: LiveService
    rules: RouteRules
    path: str
    host: str
    lines: bytes
    own_lines: bytes
    key: bytes = b""
    body: RequestBody | None = None
    uploaded_at: float | None = None  # when the last byte of a body came that had not come with the head
    _outcome: asyncio.Future[None] | None = None
    _call: ServiceCall | None = None
    _tried: tuple[LiveAddress, ...] = ()
    _pause: asyncio.TimerHandle | None = None
    _pays: bool = False  # it holds a place of the retry budget

    def __repr__(self) -> str:
        return f"<RelayedRequest {self.service.name} {self._call!r}>"

    def run(self) -> Awaitable[None]:
        """Raises GatewayError if no answer came or it broke, ClientGone, or the reason of an ``interrupt``."""
        request, loop = self.request, self.relay.transport.loop
        if request.gone:
            raise ClientGone  # it disconnected while the request had no flow
        self._outcome = outcome = loop.create_future()
        request.flow = self
        self._begin(loop.time())
        return outcome

    def finish(self) -> None:
        """Release everything: the answer is complete, or no longer wanted."""
        if self.request.flow is self:
            self.request.flow = None
        if self._call is not None or self._pause is not None:
            self._leave()
        if self.body is not None:
            self.exchange.bytes_in = self.body.received
            self.body.stop()
        if self._pays:
            self._pays = False
            self.relay.retries.give(self.service.name)
        self._outcome = None  # a fault in it has a traceback, whose frames refer to the request

    def answer_lines(self, head: Head) -> bytes:
        """Header lines of the answer for the client, without those for framing. Those of CORS are the service's."""
        changes = self.rules.answer
        if changes is None:
            return head.lines + self.own_lines
        lines = passing_lines(head.headers, answer_verdicts(changes.removed))
        return b"".join((lines, self.own_lines, changes.lines))

    # -- attempts ---------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Begin an attempt at an address that was not tried. Raises GatewayError: there is none."""
        service, fault = self.service, None
        while (address := service.group.choose(now, self.key, self._tried)) is not None:
            try:
                target = service.target(address)
            except GatewayError as unusable:
                fault = unusable
            else:
                use = use_of(address, now)
                if use is not None:
                    self.exchange.attempts.append(use.facts)
                    self._call = call = ServiceCall(self, use, target)
                    call.start(now)
                    return
            self._tried = (*self._tried, address)
        raise fault or no_address(service)

    def _begin_again(self, fault: Exception) -> None:
        """Try the same addresses once more. ``fault``: the client gets it if that is not possible."""
        self._pause = None
        try:
            self._begin(self.relay.transport.loop.time())
        except GatewayError:
            self._settle(fault)

    def succeeded(self, call: ServiceCall, now: float) -> None:
        """The answer of ``call`` was written to its end."""
        self._call = None
        call.use.succeed(now)
        outcome = self._outcome
        if outcome is not None and not outcome.done():
            outcome.set_result(None)

    def failed(self, call: ServiceCall, fault: Exception) -> None:
        """``call`` has ended without a whole answer: try another address, or settle."""
        if call is not self._call:
            return
        self._call = None
        loop = self.relay.transport.loop
        call.use.fail(fault, now := loop.time())
        if self.body is not None:
            self.body.detach()
        sent = call.sent_at is not None
        # Requests that an address lost when it went out of use are no more load for the others than those to come.
        adds = sent and call.use.address.usable(now)
        if not (isinstance(fault, UpstreamFault) and self._may_try_again(sent) and self._within_budget(adds)):
            self._settle(fault)
            return
        self._tried = (*self._tried, call.use.address)
        try:
            self._begin(now)
        except GatewayError:
            self._tried = ()
            pause = pause_before(len(self.exchange.attempts), self.relay.chance)
            self._pause = loop.call_later(pause, self._begin_again, fault)

    def has_another(self, call: ServiceCall) -> bool:
        """Whether the request may go to an address that was not tried, instead of the answer of ``call``."""
        now, tried = self.relay.transport.loop.time(), (*self._tried, call.use.address)
        return (
            self._may_try_again(sent=True)
            and any(each not in tried and each.usable(now) for each in self.service.group.addresses)
            and self._within_budget(adds=True)
        )

    def repeatable(self, *, sent: bool) -> bool:
        """Whether the request can be sent again. ``sent``: it was sent once."""
        if self.request.reply.begun or self.request.gone or (self.body is not None and self.body.lost):
            return False
        return not sent or self.request.method in SAFE_TO_REPEAT

    def _may_try_again(self, sent: bool) -> bool:
        return len(self.exchange.attempts) <= self.rules.retries.attempts and self.repeatable(sent=sent)

    def _within_budget(self, adds: bool) -> bool:
        """``adds``: the retry adds to the load of the service. One that does not costs nothing."""
        if adds and not self._pays:
            self._pays = self.relay.retries.take(self.service, self.rules.retries.percent)
            return self._pays
        return True

    def _leave(self) -> None:
        """End what runs, without a verdict on the address."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        call = self._call
        if call is not None:
            self._call = None
            call.stop()
            call.use.drop(self.relay.transport.loop.time())

    def _settle(self, fault: BaseException) -> None:
        outcome = self._outcome
        if outcome is not None and not outcome.done():
            outcome.set_exception(fault)

    # -- the client's side (Flow) -----------------------------------------------------------------

    @property
    def uploads(self) -> bool:
        """Whether the client still sends its body."""
        return self.body is not None and not self.body.complete

    def uploaded(self) -> None:
        """All of the body was read."""
        self.uploaded_at = self.relay.transport.loop.time()
        if self._call is not None:
            self._call.renew_watch()

    def pause(self) -> None:
        call = self._call
        if call is not None and call.connection is not None and (watch := call.watch) is not None:
            call.connection.pause_reading()
            watch.pause()

    def resume(self) -> None:
        call = self._call
        if call is not None and call.connection is not None and (watch := call.watch) is not None:
            watch.resume()
            call.connection.resume_reading()

    def client_gone(self) -> None:
        self.interrupt(ClientGone())

    def interrupt(self, reason: BaseException | None) -> None:
        """End the request from outside."""
        self._leave()
        self._settle(reason or ClientGone())
