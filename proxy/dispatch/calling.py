"""The dispatch of a JSON call, whose body is kept until the content commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from proxy.delivery import Delivery
from proxy.dispatch.asking import call_head, may_ask_usage, refused_options
from proxy.dispatch.dispatch import Dispatch, Setback
from proxy.dispatch.dispatcher import Dispatcher
from proxy.exchange import Trial
from proxy.routing.plan import Plan
from proxy.routing.rules import Kind
from proxy.transport.attempt import Ask, Segments
from proxy.transport.collect import Answer
from proxy.wire.call import Call


class Calling(Dispatch):
    """``release`` forgets the body; it is called at the content commit, as no attempt can follow then."""

    def __init__(
        self, dispatcher: Dispatcher, delivery: Delivery, plan: Plan, call: Call, release: Callable[[], None] | None
    ) -> None:
        super().__init__(dispatcher, delivery, plan)
        self._call = call
        self._release = release
        self._pings = call.stream
        self._repeats = delivery.exchange.endpoint.replayable or call.stateless

    def _ask(self, trial: Trial) -> Ask:
        """The provider's version of the call: changed only where it must be."""
        delivery, call, deployment = self._delivery, self._call, trial.deployment
        endpoint = self._exchange.endpoint
        changes = self._changes()
        if not call.verbatim or call.model != deployment.upstream_model:
            changes["model"] = deployment.model_json or None
        if endpoint.force_stream:
            changes["stream"] = b"true"
        if call.stream and may_ask_usage(endpoint, call, deployment.provider):
            trial.asks_usage = True
            changes["stream_options"] = call.asking_usage()
        for field in call.router_fields:
            changes[field] = None
        body: Segments = call.segments(changes) if changes else (call.body,)
        return Ask(
            head=call_head(delivery, trial, endpoint.path, sum(map(len, body))),
            body=body,
            replayable=endpoint.replayable,
            clocks=deployment.stream_clocks if call.stream else deployment.clocks,
            dialect=endpoint.dialect,
            choices=call.choices,
            swallow_usage=trial.asks_usage,
            collects=endpoint.answer == "json",
            ping=delivery.ping if call.stream else None,
            lines=delivery.lines,
            epilogue=delivery.epilogue,
            committed=partial(self._committed, trial),
            deadline=self._deadline,
            release=self._release,
        )

    def _changes(self) -> dict[str, bytes | None]:
        """What is changed in the body for reasons that do not lie in the call."""
        return {}

    def _refused(self, trial: Trial, answer: Answer) -> Setback:
        provider = trial.deployment.provider
        if refused_options(answer) and provider.settings.usage_in_stream == "auto":
            # Was it our own wish that it minded? Then ask without it, now and from now on.
            provider.asks_usage = not trial.asks_usage
            if trial.asks_usage:
                trial.deployment.live.breaker.leave(trial.entry, self._now())
                trial.failure, trial.reason = Kind.OPTIONS, "the provider knows no stream_options"
                return Setback(trial, Kind.OPTIONS, answer=answer)
        return super()._refused(trial, answer)
