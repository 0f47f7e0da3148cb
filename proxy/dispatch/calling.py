"""The dispatch of a JSON call, whose body is kept until the content commit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from proxy.delivery import Delivery
from proxy.dispatch.asking import calling, may_ask_usage, refused_options
from proxy.dispatch.dispatch import Dispatch, Setback
from proxy.dispatch.dispatcher import Dispatcher
from proxy.exchange import Trial
from proxy.routing.plan import Plan
from proxy.routing.rules import Kind
from proxy.transport.attempt import Ask
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
        endpoint, call = self._exchange.endpoint, self._call
        trial.asks_usage = may_ask_usage(endpoint, call, trial.deployment.provider)
        return calling(
            self._delivery,
            endpoint,
            trial,
            call,
            partial(self._committed, trial),
            self._release,
            self._changes(),
            asks_usage=trial.asks_usage,
            deadline=self._deadline,
        )

    def _changes(self) -> dict[str, bytes | None]:
        """What else is changed in the body."""
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
