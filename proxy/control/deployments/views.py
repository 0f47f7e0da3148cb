"""A deployment as the operator sees it. Times are Unix seconds, durations milliseconds, ``null`` is not known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from msgspec import Struct

from proxy.breakers.breaker import Breaker, State
from proxy.config.provider_schema import ModelSettings
from proxy.control.activity.samples import Samples, Spread, spread
from proxy.control.deployments.blocked import blocked
from proxy.control.deployments.index import Member

SPARK = 30  # durations of the latest answers
DRIFT = 0.05  # seconds that the two clocks may differ from when they were compared

_UNCONFIGURED = ModelSettings(name="-", provider="-", type="")


class BreakerView(Struct, rename="camel"):
    """``since`` is ``null`` while it never changed; ``why`` tells of the failure that it came from, or of several that
    it counted; ``unavailable_at`` are the endpoints where the provider has no such model."""

    state: State
    since: float | None
    held: bool
    why: str
    failures: int
    retry_at: float | None
    unavailable_at: list[str]


class LastError(Struct, rename="camel"):
    at: float
    kind: str
    reason: str
    request_id: str


class DeploymentView(Struct, rename="camel"):
    """``requests`` and ``errors`` are the attempts of the statistics window, ``successRate`` their part from 0 to 1.
    ``slow`` counts clients that left after at least half of a clock without an event; they are in none of the others.

    Spreads and ``tokensPerSecond`` are those of its last 200 good answers, ``latencySparkMs`` the latest of them,
    oldest first. ``blocked`` says why it gets no request now, ``""`` if it does. ``keysRestUntil``: every key of its
    provider rests; ``keysResting`` is how many of its ``keys`` do while others take over.
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
    latency_ms: Spread | None
    time_to_first_token_ms: Spread | None
    tokens_per_second: float | None
    latency_spark_ms: list[float]
    in_flight: int
    max_concurrent: int
    last_error: LastError | None


class StateView(Struct, rename="camel"):
    now: float
    deployments: list[DeploymentView]


class Clock:
    """Turns moments of the gateway's clock into the wall's, in Unix seconds: the same moment always into the same,
    unless the wall's clock has been set."""

    def __init__(self, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self.now = now
        self.wall = wall
        self._apart = wall() - now()

    def told(self, moment: float) -> float:
        return round(self._offset() + moment, 3)

    def second(self, at: int) -> int:
        """The same of a whole second."""
        return at + round(self._offset())

    def ahead(self, moment: float | None) -> float | None:
        """The same for what lies ahead, else ``None``."""
        return self.told(moment) if moment is not None and moment > self.now() else None

    def _offset(self) -> float:
        apart = self.wall() - self.now()
        if abs(apart - self._apart) > DRIFT:
            self._apart = apart
        return self._apart


def breaker_view(breaker: Breaker, clock: Clock) -> BreakerView:
    state, retry_at = breaker.state, breaker.retry_at
    return BreakerView(
        state=state,
        since=clock.told(breaker.since) if breaker.since else None,
        held=breaker.forced_open,
        why=breaker.reason if state != "closed" or breaker.failures else "",
        failures=breaker.failures,
        retry_at=clock.told(retry_at) if state in ("open", "unavailable") and retry_at is not None else None,
        unavailable_at=sorted(breaker.missing_at),
    )


def deployment_view(member: Member, samples: Samples | None, clock: Clock) -> DeploymentView:
    live, deployment = member.live, member.deployment
    model = (deployment.model if deployment is not None else None) or _UNCONFIGURED
    now, keys = clock.now(), member.provider.keys
    found = blocked(live, keys, now)
    ended, failed = live.statistics.counts(now)
    durations = samples.durations() if samples is not None else []
    speed = samples.tokens_per_second() if samples is not None else None
    return DeploymentView(
        id=member.id,
        name=member.name,
        provider=member.provider.name,
        upstream_model=member.upstream_model,
        type=model.kind,
        tags=model.tags,
        weight=model.weight,
        context_size=model.context_size,
        speed_tier=model.speed_tier,
        available=model.available,
        configured=deployment is not None,
        breaker=breaker_view(live.breaker, clock),
        quota_rests_until=clock.ahead(live.quota.cooldown_until),
        keys_rest_until=clock.ahead(keys.free_at()),
        keys=len(keys),
        keys_resting=keys.cooling(now),
        blocked=found.why if found is not None else "",
        requests=ended,
        errors=failed,
        slow=live.statistics.slow(now),
        success_rate=round((ended - failed) / ended, 4) if ended else None,
        latency_ms=spread(durations, 1000.0),
        time_to_first_token_ms=spread(samples.first_tokens(), 1000.0) if samples is not None else None,
        tokens_per_second=round(speed, 2) if speed is not None else None,
        latency_spark_ms=[round(each * 1000, 1) for each in islice(durations, max(len(durations) - SPARK, 0), None)],
        in_flight=live.in_flight,
        max_concurrent=model.max_concurrent,
        last_error=_last_error(samples, clock),
    )


def _last_error(samples: Samples | None, clock: Clock) -> LastError | None:
    mishap = samples.mishap if samples is not None else None
    if mishap is None:
        return None
    return LastError(clock.told(mishap.at), mishap.kind, mishap.reason, mishap.request_id)
