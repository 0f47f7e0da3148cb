"""The dispatch of a JSON call, whose body is kept until the content commit."""

from __future__ import annotations

from proxy.config.timeouts import Clocks
from proxy.delivery import Delivery
from proxy.dispatch import account
from proxy.dispatch.asking import Asking, call_head, may_ask_usage, refused_options
from proxy.dispatch.dispatch import Dispatch
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.setback import Setback
from proxy.exchange import Trial
from proxy.routing.plan import Plan
from proxy.routing.rules import Kind
from proxy.transport.ask import Ask, Segments
from proxy.transport.collect import Answer
from proxy.wire.call import Call
from proxy.wire.dialects import tap_for
from proxy.wire.patch import size
from proxy.wire.tap import Tap


class Calling(Asking):
    """The body is forgotten at the content commit, unless another attempt may follow then (``_keeps_body``)."""

    _keeps_body = False

    def __init__(self, dispatcher: Dispatcher, delivery: Delivery, plan: Plan, call: Call) -> None:
        Dispatch.__init__(self, dispatcher, delivery, plan)  # by its name: super() makes an object of each call
        self._call = call
        self._pings = call.stream
        self._repeats = delivery.exchange.endpoint.replayable or call.stateless

    def _ask(self, trial: Trial) -> Ask:
        """The provider's version of the call: changed only where it must be."""
        delivery, call, deployment = self._delivery, self._call, trial.deployment
        endpoint = self._exchange.endpoint
        stream, changes = call.stream, self._changes()
        if not call.verbatim or call.model != deployment.upstream_model:
            changes["model"] = deployment.model_json or None
        if endpoint.force_stream:
            changes["stream"] = b"true"
        if stream and may_ask_usage(endpoint, call, deployment.provider):
            trial.asks_usage = True
            changes["stream_options"] = call.asking_usage()
        for field in call.router_fields:
            changes[field] = None
        body: Segments = (call.body,)
        length = len(call.body)
        if changes:
            body = call.segments(changes)
            length = size(body)
        # By position, in the order of the fields: names would cost as much again.
        return Ask(
            call_head(delivery, trial, endpoint.path, length),
            body,
            length,
            self,
            trial,
        )

    @property
    def replayable(self) -> bool:
        return self._exchange.endpoint.replayable

    def clocks(self, trial: Trial) -> Clocks:
        deployment = trial.deployment
        if self._exchange.endpoint.media:
            return deployment.stream_clocks_of_media if self._call.stream else deployment.clocks_of_media
        return deployment.stream_clocks if self._call.stream else deployment.clocks

    def tap(self, trial: Trial) -> Tap:
        call = self._call
        return tap_for(
            self._exchange.endpoint.dialect,
            choices=call.choices,
            swallow_usage=trial.asks_usage,
            wants_usage=call.wants_usage,
        )

    def committed(self, trial: Trial) -> None:
        self._committed(trial)
        if not self._keeps_body:
            self._delivery.forget_request()

    def _changes(self) -> dict[str, bytes | None]:
        """What is changed in the body for reasons that do not lie in the call."""
        return {}

    def _refused(self, trial: Trial, answer: Answer) -> Setback:
        provider = trial.deployment.provider
        if refused_options(answer) and provider.settings.usage_in_stream == "auto":
            # Was it our own wish that it minded? Then ask without it, now and from now on.
            provider.learnt.asks_usage = not trial.asks_usage
            if trial.asks_usage:
                account.left(trial, self._now())
                trial.failure, trial.reason = Kind.OPTIONS, "the provider knows no stream_options"
                return Setback(trial, Kind.OPTIONS, answer=answer)
        return super()._refused(trial, answer)
