"""The choice of the next deployment: after a failed attempt, and if none can be tried at once.

``routing/rules.py`` has the table, ``routing/plan.py`` the order of the candidates. ``None``: there is no deployment to
try.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from proxy.dispatch.waiting import WaitBudget
from proxy.routing import rules
from proxy.routing.rules import FailureKind, Next

if TYPE_CHECKING:
    from proxy.dispatch.dispatch import Dispatch
    from proxy.dispatch.failure import AttemptFailure
    from proxy.exchange import Attempt
    from proxy.routing.deployment import Deployment


async def next_after(dispatch: Dispatch, failure: AttemptFailure) -> Deployment | None:
    """The deployment to try after a failed attempt, by the rules table's row for its failure kind."""
    deployment, following = failure.attempt.deployment, rules.RULES[failure.kind].next
    if failure.others_only:
        return None if following in (Next.RETURN_ERROR, Next.STOP) else switch(dispatch)
    if dispatch.dispatcher.now() >= dispatch.deadline or not _repeatable(dispatch, failure):
        return None
    match following:
        case Next.SAME_NOW:
            return deployment
        case Next.KEY | Next.KEY_OR_ERROR:
            return _after_refused_key(dispatch, failure)
        case Next.COOLDOWN:
            return await _after_rate_limit(dispatch, deployment)
        case Next.SAME:
            return await _after_reset(dispatch, deployment) or switch(dispatch)
        case Next.NEXT_OR_SAME | Next.SAME_OR_ERROR:
            return _next(dispatch) or await _once_more(dispatch, failure) or last_resort(dispatch)
        case Next.RETURN_ERROR | Next.STOP:
            return None
    return switch(dispatch)


async def first_free(dispatch: Dispatch) -> Deployment | None:
    """If no candidate can be tried now: the fallback, else the first candidate whose rate limit ends."""
    found = last_resort(dispatch)
    if found is not None:
        return found
    return await _waits(dispatch).wait_for_candidate(dispatch.plan, lambda: switch(dispatch), dispatch.deadline)


async def next_turn(dispatch: Dispatch, passed: Deployment) -> Deployment | None:
    """Wait for the end of a rate limit or probe, then return ``passed``, which had no usable key or an open breaker."""
    keys, waits = passed.provider.keys, _waits(dispatch)
    left = keys.free_at() - dispatch.dispatcher.now()
    if left > 0:
        if not keys.limited or not await waits.wait(left, dispatch.deadline):
            return None
        dispatch.keyless = tuple(each for each in dispatch.keyless if each is not passed)
    return passed if await waits.wait_for_limits(dispatch.plan, passed, dispatch.deadline) else None


def switch(dispatch: Dispatch) -> Deployment | None:
    """The next candidate, else the fallback."""
    return _next(dispatch) or last_resort(dispatch)


def has_budget(dispatch: Dispatch) -> bool:
    """Whether ``maxRetries`` allows another deployment. It counts the first one, but not the fallback.

    Nor does it count one that the request could not be translated for, as nothing was sent.
    """
    attempts, fallback = dispatch.exchange.attempts, dispatch.fallback
    tried = {
        attempt.deployment
        for attempt in attempts
        if attempt.deployment is not fallback and attempt.failure != FailureKind.UNTRANSLATABLE
    }
    return len(tried) < max(1, dispatch.routing.max_retries)


def last_resort(dispatch: Dispatch) -> Deployment | None:
    """The fallback; ``None`` after the gateway's own limits (without ``onLimit``), or for an unknown model name."""
    fallback = dispatch.routing.fallback
    if dispatch.limited and not (fallback is not None and fallback.on_limit):
        return None
    if _is_misspelled(dispatch.exchange.attempts):
        return None
    dispatch.fallback = dispatch.plan.next_fallback(dispatch.dispatcher.now())
    return dispatch.fallback


def _next(dispatch: Dispatch) -> Deployment | None:
    """The next candidate if ``maxRetries`` allows one, else one whose only attempt lost a race."""
    found = dispatch.plan.next(dispatch.dispatcher.now()) if has_budget(dispatch) else None
    return found or _outrun(dispatch)


def _outrun(dispatch: Dispatch) -> Deployment | None:
    """A deployment whose only attempt lost a race. It has not failed, and can be tried if the winner broke."""
    plan, now = dispatch.plan, dispatch.dispatcher.now()
    for attempt in dispatch.exchange.attempts:
        deployment = attempt.deployment
        if attempt.failure == FailureKind.OUTRUN and attempts_at(dispatch, deployment) == 1:
            return deployment if plan.may_retry(deployment, now) else None
    return None


def _repeatable(dispatch: Dispatch, failure: AttemptFailure) -> bool:
    """Whether another attempt is safe: the provider cannot have run the request, or a second run does no harm.

    A provider that got the request translated has stored nothing.
    """
    stateless = dispatch.repeatable or dispatch.exchange.endpoint.path in failure.attempt.deployment.translated
    return not failure.final and (stateless or not rules.may_have_run(failure.kind, failure.fault))


async def _after_rate_limit(dispatch: Dispatch, deployment: Deployment) -> Deployment | None:
    """The first that is possible: another key, an equal candidate, the same one after its cooldown, any other."""
    plan, clock, keys = dispatch.plan, dispatch.dispatcher, deployment.provider.keys
    now = clock.now()
    if len(keys) > 1 and keys.free_at() <= now:
        return deployment
    equal = plan.next_equal(now) if has_budget(dispatch) else None
    if equal is not None:
        return equal
    waits = _waits(dispatch)
    again = _may_retry(dispatch, deployment) and await waits.wait_for_cooldown(deployment, dispatch.deadline)
    if again and plan.may_retry(deployment, clock.now()):
        return deployment
    other = switch(dispatch)
    if other is None and again and await waits.wait_for_limits(plan, deployment, dispatch.deadline):
        return deployment
    return other


async def _after_reset(dispatch: Dispatch, deployment: Deployment) -> Deployment | None:
    """The same deployment, after a backoff."""
    if not _may_retry(dispatch, deployment):
        return None
    return await _after_backoff(dispatch, deployment, attempts_at(dispatch, deployment) - 1)


async def _once_more(dispatch: Dispatch, failure: AttemptFailure) -> Deployment | None:
    """The same deployment, if it was tried once and retries are enabled."""
    deployment = failure.attempt.deployment
    if attempts_at(dispatch, deployment) > 1 or not dispatch.routing.max_retries:
        return None
    return await _after_backoff(dispatch, deployment, 0, failure.retry_after or 0.0)


async def _after_backoff(
    dispatch: Dispatch, deployment: Deployment, retry: int, least: float = 0.0
) -> Deployment | None:
    """The same deployment, after the backoff and at least ``least`` seconds, which the provider requires."""
    routing, clock = dispatch.routing, dispatch.dispatcher
    delay = rules.backoff(routing.retry_delay, retry, clock.random, routing.max_retry_delay)
    waited = await _waits(dispatch).wait(max(least, delay), dispatch.deadline)
    return deployment if waited and dispatch.plan.may_retry(deployment, clock.now()) else None


def _after_refused_key(dispatch: Dispatch, failure: AttemptFailure) -> Deployment | None:
    """Another key, at most once per exchange and provider, else another candidate."""
    deployment, kind = failure.attempt.deployment, failure.kind
    keys, now = deployment.provider.keys, dispatch.dispatcher.now()
    refused = sum(
        each.deployment.provider is deployment.provider and each.failure == kind for each in dispatch.exchange.attempts
    )
    if len(keys) > 1 and refused == 1 and keys.free_at() <= now < failure.attempt.key.cooldown_until:
        return deployment
    return None if kind is FailureKind.AUTH and dispatch.routing.on_auth_error == "fail" else switch(dispatch)


def _may_retry(dispatch: Dispatch, deployment: Deployment) -> bool:
    """Whether the same deployment may be tried again after a 429 or a reset."""
    routing = dispatch.routing
    return bool(routing.max_retries) and attempts_at(dispatch, deployment) <= routing.rate_limit_retries


def attempts_at(dispatch: Dispatch, deployment: Deployment) -> int:
    """Number of attempts of the exchange at ``deployment``."""
    return sum(attempt.deployment is deployment for attempt in dispatch.exchange.attempts)


def _waits(dispatch: Dispatch) -> WaitBudget:
    if dispatch.waits is None:
        dispatch.waits = WaitBudget(dispatch.dispatcher, dispatch.responder, pings=dispatch.pings)
    return dispatch.waits


def _is_misspelled(attempts: Iterable[Attempt]) -> bool:
    """Whether neither a provider nor the configuration has the model."""
    missing = [each.failure == FailureKind.MODEL_MISSING and each.deployment.model is None for each in attempts]
    return bool(missing) and all(missing)
