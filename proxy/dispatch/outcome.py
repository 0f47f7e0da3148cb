"""The outcome of an attempt: its failure kind, and its effects on breaker, keys and plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.billing import MAY_BE_BILLED
from proxy.dialects.provider_error import ProviderError
from proxy.dispatch import cooldowns, verdict
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.next_candidate import attempts_at
from proxy.dispatch.race import Lost
from proxy.errors import ClientFault, ClientGone, ErrorInStream, GatewayError, UpstreamFault
from proxy.routing import rules
from proxy.routing.rules import FailureKind

if TYPE_CHECKING:
    from proxy.dispatch.attempt import AttemptRun
    from proxy.relay.body import CollectedAnswer


def streamed(run: AttemptRun) -> None:
    """Note the end of an answer that was relayed as it came. No attempt can follow."""
    dispatch, attempt = run.dispatch, run.attempt
    exchange, now = dispatch.exchange, dispatch.dispatcher.now()
    fault = exchange.fault
    if fault is None:
        verdict.succeed(attempt, exchange.endpoint.path, now)
        return
    kind = rules.kind_of_fault(fault)
    attempt.failure, attempt.reason = kind.value, _reason(fault)
    verdict.fail(attempt, kind, exchange.error, exchange.attempts, exchange.endpoint.path, now)


def refused(run: AttemptRun, answer: CollectedAnswer) -> AttemptFailure:
    """The failure of an attempt whose provider returned an error response."""
    attempt, exchange = run.attempt, run.dispatch.exchange
    attempt.status = answer.status
    if answer.status in MAY_BE_BILLED:
        run.estimate_input()
    if run.responder.call is not None and _refused_options(run, answer):
        verdict.release(attempt, run.dispatch.dispatcher.now())
        attempt.failure, attempt.reason = FailureKind.OPTIONS, "the provider does not support stream_options"
        return AttemptFailure(attempt, FailureKind.OPTIONS, answer=answer)
    provider = attempt.deployment.provider
    site = attempt.deployment.sites[exchange.endpoint.path]
    found = site.kind.read_refusal(answer.status, answer.headers, answer.body, run.dispatch.dispatcher.wall())
    kind = rules.kind_of_refusal(found)
    error = attempt.deployment.dialects[exchange.endpoint.path].reader.read_error(answer.body)
    if error is not None:
        error.message = provider.redact(error.message)
    exchange.error_detail = detail = error.message if error is not None else ""
    if kind is FailureKind.NOT_FOUND:
        # Usually a wrong baseUrl. Only the log may name it.
        url = site.url(exchange.endpoint.path if run.translated is None else run.translated.endpoint.path)
        exchange.error_detail = f"{detail or 'status 404'} (requested at {url}: check {_settings_of(run)})"
    if kind is FailureKind.AUTH:
        error = None  # it concerns the gateway's credential: for the log only
    failure = AttemptFailure(attempt, kind, found.retry_after, answer, error=error)
    return _account(run, failure, f"status {answer.status}")


def _settings_of(run: AttemptRun) -> str:
    """Where the configuration says at which address, and whether at all, the provider has the endpoint."""
    endpoint, name = run.dispatch.exchange.endpoint, run.attempt.deployment.provider.name
    if endpoint.wire == "chat" or endpoint.path in run.attempt.deployment.translated:
        return f"providers.{name}"
    hint = "if it has no such endpoint, enabled: false there lets requests be translated"
    return f"providers.{name}.dialects.{endpoint.wire}; {hint}"


def failed(run: AttemptRun, fault: UpstreamFault) -> AttemptFailure:
    """The failure of an attempt without a usable response."""
    error = None
    if isinstance(fault, ErrorInStream):
        fault.message = run.attempt.deployment.provider.redact(fault.message)
        error = ProviderError(fault.message, code=fault.code)
    failure = AttemptFailure(run.attempt, rules.kind_of_fault(fault), fault=fault, error=error)
    return _account(run, failure, _reason(fault))


def untranslatable(run: AttemptRun, fault: ClientFault) -> AttemptFailure:
    """The failure of an attempt whose request cannot be made. Nothing was sent."""
    run.attempt.ended = now = run.dispatch.dispatcher.now()
    verdict.release(run.attempt, now)
    run.attempt.failure, run.attempt.reason = FailureKind.UNTRANSLATABLE, fault.message
    return AttemptFailure(run.attempt, FailureKind.UNTRANSLATABLE, fault=fault)


def ended(run: AttemptRun, end: BaseException, waited: float) -> None:
    """Note an attempt that was ended from outside. ``waited``: see ``verdict.cancel``."""
    attempt, now = run.attempt, run.dispatch.dispatcher.now()
    if isinstance(end, Lost):
        kind = FailureKind.OUTRUN
    elif isinstance(end, (GatewayError, ClientGone)):
        kind = rules.kind_of_fault(end)
    else:
        kind = FailureKind.OURS
    attempt.failure = verdict.cancel(attempt, kind, waited, run.dispatch.exchange.endpoint.path, now).value


def _account(run: AttemptRun, failure: AttemptFailure, reason: str) -> AttemptFailure:
    """Note the failure, and apply its effects on later attempts and requests."""
    dispatch, attempt, kind = run.dispatch, failure.attempt, failure.kind
    dispatcher, exchange, routing = dispatch.dispatcher, dispatch.exchange, dispatch.routing
    now = dispatcher.now()
    attempt.failure, attempt.reason = kind.value, reason
    key_replaced = False
    if rules.RULES[kind].breaker == "key":
        if attempt.key.source is not None and kind is FailureKind.AUTH:
            dispatcher.credentials.refused(attempt.key.source)
        key_replaced = cooldowns.cool_key(dispatcher, failure, now)
    elif kind is FailureKind.RATE_LIMITED:
        attempts = attempts_at(dispatch, attempt.deployment)
        probe_at = cooldowns.probe_at(routing, now)
        cooldowns.cool_deployment(dispatcher, failure, attempts, routing.retry_delay, now, probe_at)
    elif kind is FailureKind.CONTEXT_LENGTH:
        dispatch.plan.require_context(attempt.deployment.context_size)
    path = exchange.endpoint.path
    verdict.fail(attempt, kind, kind.value, exchange.attempts, path, now, key_replaced=key_replaced)
    return failure


def _refused_options(run: AttemptRun, answer: CollectedAnswer) -> bool:
    """Whether the provider refused the ``stream_options`` that the gateway had added.

    If so, they are no longer added for this provider.
    """
    attempt, provider = run.attempt, run.attempt.deployment.provider
    if answer.status not in (400, 422) or provider.settings.usage_in_stream != "auto":
        return False
    if b"stream_options" not in answer.body and b"include_usage" not in answer.body:
        return False
    provider.learnt.asks_usage = not attempt.asks_usage
    return attempt.asks_usage


def _reason(fault: GatewayError) -> str:
    """A sentence for the client, without the provider's own words."""
    return "the provider sent an error instead of an answer" if isinstance(fault, ErrorInStream) else fault.message
