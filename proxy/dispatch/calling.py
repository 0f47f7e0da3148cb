"""The dispatch of a JSON call, whose body is kept until the content commit."""

from __future__ import annotations

from proxy.config.timeouts import Clocks
from proxy.dialects.base import Reader
from proxy.dialects.table import reader_for
from proxy.dispatch import account
from proxy.dispatch.asking import Asking, call_head, may_ask_usage, refused_options
from proxy.dispatch.dispatch import Dispatch
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.failure import AttemptFailure
from proxy.exchange import Attempt
from proxy.relay.collect import Answer
from proxy.relay.upstream_request import Segments, UpstreamRequest
from proxy.responder import Responder
from proxy.routing.plan import Plan
from proxy.routing.rules import Kind
from proxy.wire.call import Call
from proxy.wire.patch import size


class Calling(Asking):
    """The body is forgotten at the content commit, unless another attempt may follow then (``_keeps_body``)."""

    _keeps_body = False

    def __init__(self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call) -> None:
        Dispatch.__init__(self, dispatcher, responder, plan)  # by its name: super() makes an object of each call
        self._call = call
        self._pings = call.stream
        self._repeats = responder.exchange.endpoint.replayable or call.stateless

    def _ask(self, attempt: Attempt) -> UpstreamRequest:
        """The provider's version of the call: changed only where it must be."""
        responder, call, deployment = self._responder, self._call, attempt.deployment
        endpoint = self._exchange.endpoint
        stream, changes = call.stream, self._changes()
        if not call.verbatim or call.model != deployment.upstream_model:
            changes["model"] = deployment.model_json or None
        if endpoint.force_stream:
            changes["stream"] = b"true"
        if stream and may_ask_usage(endpoint, call, deployment.provider):
            attempt.asks_usage = True
            changes["stream_options"] = call.asking_usage()
        for field in call.router_fields:
            changes[field] = None
        body: Segments = (call.body,)
        length = len(call.body)
        if changes:
            body = call.segments(changes)
            length = size(body)
        # By position, in the order of the fields: names would cost as much again.
        return UpstreamRequest(
            call_head(responder, attempt, endpoint.path, length),
            body,
            length,
            self,
            attempt,
        )

    @property
    def replayable(self) -> bool:
        return self._exchange.endpoint.replayable

    def clocks(self, attempt: Attempt) -> Clocks:
        deployment = attempt.deployment
        if self._exchange.endpoint.media:
            return deployment.stream_clocks_of_media if self._call.stream else deployment.clocks_of_media
        return deployment.stream_clocks if self._call.stream else deployment.clocks

    def reader(self, attempt: Attempt) -> Reader:
        call = self._call
        return reader_for(
            self._exchange.endpoint.dialect,
            choices=call.choices,
            swallow_usage=attempt.asks_usage,
            wants_usage=call.wants_usage,
        )

    def committed(self, attempt: Attempt) -> None:
        self._committed(attempt)
        if not self._keeps_body:
            self._responder.forget_request()

    def _changes(self) -> dict[str, bytes | None]:
        """What is changed in the body for reasons that do not lie in the call."""
        return {}

    def _refused(self, attempt: Attempt, answer: Answer) -> AttemptFailure:
        provider = attempt.deployment.provider
        if refused_options(answer) and provider.settings.usage_in_stream == "auto":
            # Was it our own wish that it minded? Then ask without it, now and from now on.
            provider.learnt.asks_usage = not attempt.asks_usage
            if attempt.asks_usage:
                account.left(attempt, self._now())
                attempt.failure, attempt.reason = Kind.OPTIONS, "the provider knows no stream_options"
                return AttemptFailure(attempt, Kind.OPTIONS, answer=answer)
        return super()._refused(attempt, answer)
