"""Deployments in responses. Times are Unix seconds, durations milliseconds, ``null`` is not known."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.breakers.breaker import Breaker, State
from proxy.config.provider_schema import ModelSettings
from proxy.control.clock import WallClock
from proxy.control.deployments.blocked import blocked
from proxy.control.deployments.index import IndexedDeployment
from proxy.control.deployments.samples import DeploymentSamples, Percentiles, percentiles

SPARKLINE: Final = 30  # durations of the latest successful answers

_UNCONFIGURED: Final = ModelSettings(name="-", provider="-", type="")


class BreakerView(Struct, rename="camel"):
    """``since``: ``null`` if the state never changed. ``held``: opened by an operator. ``why``: the last failure that
    counts. ``unavailable_at``: endpoints at which the provider has no such model."""

    state: State
    since: float | None
    held: bool
    why: str
    failures: int
    retry_at: float | None
    unavailable_at: list[str]


class LastError(Struct, rename="camel"):
    """The latest failed attempt."""

    at: float
    kind: str
    reason: str
    request_id: str


class DeploymentView(Struct, rename="camel"):
    """``requests`` and ``errors``: attempts within the statistics window; ``successRate`` is from 0 to 1.
    ``slow``: clients that disconnected after at least half of a timeout without an event; not among the others.

    Percentiles and ``tokensPerSecond`` are of the last 200 successful answers; ``latencySparkMs`` has the latest,
    oldest first. ``blocked``: why it gets no requests now, ``""`` if it does. ``keysRestUntil``: cooldown of every key
    of its provider. ``keysResting``: how many of its ``keys`` are in cooldown while others are used.
    """

    id: str
    name: str
    provider: str
    upstream_model: str
    type: str
    tags: list[str]
    weight: float
    context_size: int
    speed_tier: str
    available: bool
    configured: bool
    breaker: BreakerView
    quota_rests_until: float | None
    keys_rest_until: float | None
    keys: int
    keys_resting: int
    blocked: str
    requests: int
    errors: int
    slow: int
    success_rate: float | None
    latency_ms: Percentiles | None
    time_to_first_token_ms: Percentiles | None
    tokens_per_second: float | None
    latency_spark_ms: list[float]
    in_flight: int
    max_concurrent: int
    last_error: LastError | None


class DeploymentsView(Struct, rename="camel"):
    """Every deployment."""

    now: float
    deployments: list[DeploymentView]


class ChangedDeployments(Struct):
    """The deployments of a model after the change."""

    deployments: list[DeploymentView]


def breaker_view(breaker: Breaker, clock: WallClock) -> BreakerView:
    state, retry_at = breaker.state, breaker.retry_at
    return BreakerView(
        state=state,
        since=clock.unix(breaker.since) if breaker.since else None,
        held=breaker.forced_open,
        why=breaker.reason if state != "closed" or breaker.failures else "",
        failures=breaker.failures,
        retry_at=clock.unix(retry_at) if state in ("open", "unavailable") and retry_at is not None else None,
        unavailable_at=sorted(breaker.missing_at),
    )


def deployment_view(indexed: IndexedDeployment, samples: DeploymentSamples | None, clock: WallClock) -> DeploymentView:
    live, deployment = indexed.live, indexed.deployment
    model = (deployment.model if deployment is not None else None) or _UNCONFIGURED
    now, keys = clock.now(), indexed.provider.keys
    reason = blocked(live, keys, now)
    absent = deployment is not None and not deployment.site.address.present
    ended, failed = live.statistics.counts(now)
    durations = samples.durations() if samples is not None else []
    speed = samples.tokens_per_second() if samples is not None else None
    return DeploymentView(
        id=indexed.id,
        name=indexed.name,
        provider=indexed.provider.name,
        upstream_model=indexed.upstream_model,
        type=model.kind,
        tags=model.tags,
        weight=model.weight if deployment is None else deployment.weight,
        context_size=model.context_size,
        speed_tier=model.speed_tier,
        available=model.available and not absent,
        configured=deployment is not None,
        breaker=breaker_view(live.breaker, clock),
        quota_rests_until=clock.unix_future(live.quota.cooldown_until),
        keys_rest_until=clock.unix_future(keys.free_at()),
        keys=len(keys),
        keys_resting=keys.cooling(now),
        blocked="its service has no address now" if absent else reason.why if reason is not None else "",
        requests=ended,
        errors=failed,
        slow=live.statistics.slow(now),
        success_rate=round((ended - failed) / ended, 4) if ended else None,
        latency_ms=percentiles(durations, 1000.0),
        time_to_first_token_ms=percentiles(samples.first_tokens(), 1000.0) if samples is not None else None,
        tokens_per_second=round(speed, 2) if speed is not None else None,
        latency_spark_ms=[round(each * 1000, 1) for each in durations[-SPARKLINE:]],
        in_flight=live.in_flight,
        max_concurrent=model.max_concurrent,
        last_error=_last_error(samples, clock),
    )


def _last_error(samples: DeploymentSamples | None, clock: WallClock) -> LastError | None:
    failure = samples.last_failure if samples is not None else None
    if failure is None:
        return None
    return LastError(clock.unix(failure.at), failure.kind, failure.reason, failure.request_id)
