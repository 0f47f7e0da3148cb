"""Configured limits, compiled once, and the costs of requests that follow from them."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from proxy.caches import LruCache
from proxy.config.limit_schema import Limits
from proxy.config.schema import Auth, RateLimiting, TokenEstimate
from proxy.identity import Client
from proxy.limits.base import HOUR, MINUTE, Cost, Level, Limit, Unit

ADDRESS_FACTOR = 10  # default limits of an address, as a multiple of a client's
MOST_OVERRIDES = 1024  # compiled limits of keys and tokens in the cache
SHARED_KEY = "all"  # key of the global buckets

Costs = tuple[Cost, ...]

_BOUNDS = ("requests_per_minute", "requests_per_hour", "tokens_per_minute", "concurrent", "burst_size")


class Bounds(Struct, frozen=True, eq=False):
    """Limits of one level: ``requests`` are taken before the body is read, ``tokens`` when the call is known."""

    requests: tuple[Limit, ...] = ()  # slots last
    tokens: Limit | None = None

    @property
    def all(self) -> tuple[Limit, ...]:
        return self.requests if self.tokens is None else (*self.requests, self.tokens)


UNBOUNDED = Bounds()


class Rules:
    """The limits of all levels.

    ``shared``: the level ``global``. ``own``: of a client without limits of its own. ``address``: for clients without
    authentication, in addition to their own. ``enabled``: the configured levels apply; ``credentials``: the limits of
    keys and tokens apply, even if the levels do not.

    ``counts_tokens``: there are token limits, so calls need an estimate. ``has_slots``: there are ``concurrent``
    limits. ``gives_back``: there are either, so exchanges must be settled.
    """

    __slots__ = (
        "_base",
        "_known",
        "address",
        "counts_tokens",
        "credentials",
        "enabled",
        "estimates",
        "gives_back",
        "has_slots",
        "model",
        "own",
        "provider",
        "shared",
    )

    def __init__(self, settings: RateLimiting, credentials: bool) -> None:
        self.enabled = settings.enabled
        self.credentials = credentials
        self._base = _effective(settings, settings.per_client)
        self._known: LruCache[Limits, Bounds] = LruCache(MOST_OVERRIDES)  # bounded, as JWTs may carry limits
        self.estimates: TokenEstimate = settings.token_estimate
        self.shared = bounds_of("global", _effective(settings, settings.global_))
        self.own = bounds_of("client", self._base)
        self.address = bounds_of("address", _of_addresses(settings))
        self.model = bounds_of("model", _effective(settings, settings.per_model))
        self.provider = bounds_of("provider", _effective(settings, settings.per_provider))
        levels = (self.shared, self.own, self.address, self.model, self.provider)
        self.counts_tokens = any(level.tokens is not None for level in levels)
        self.has_slots = any(map(_has_slots, levels))
        self.gives_back = self.counts_tokens or self.has_slots

    @classmethod
    def of(cls, settings: RateLimiting, auth: Auth | None = None) -> Rules:
        """Rules of a configuration; without ``auth``, or in mode ``none``, there are no credentials."""
        return cls(settings, auth is not None and auth.mode != "none")

    @property
    def inactive(self) -> bool:
        """Whether no request can be limited."""
        return not self.enabled and not self.credentials

    def shared_tokens(self, client: Client | None) -> list[tuple[Limit | None, str]]:
        """The token limits of the levels above deployments, each with its key."""
        found = [(self.shared.tokens, SHARED_KEY)]
        if client is not None:
            found.append((self.client(client.limits).tokens, client.id))
            if client.address:
                found.append((self.address.tokens, client.address))
        return found

    def client(self, overrides: Limits | None) -> Bounds:
        """The limits of a client. Members of its own limits replace the configured ones.

        Own limits with ``enabled: false`` remove all limits of this level.
        """
        if overrides is None:
            return self.own
        found = self._known.get(overrides)
        return found if found is not None else self._compiled(overrides)

    def client_costs(self, client: Client | None) -> Costs:
        """Costs of a request before its body is read; ``None``: no authentication."""
        costs = _ones(self.shared, SHARED_KEY)
        if client is not None:
            costs += _ones(self.client(client.limits), client.id)
            if client.address:
                costs += _ones(self.address, client.address)
        return costs

    def deployment_costs(self, model: str, provider: str) -> Costs:
        """Costs of a request to a deployment, without tokens."""
        return _ones(self.model, model) + _ones(self.provider, provider)

    def _compiled(self, overrides: Limits) -> Bounds:
        bounds = UNBOUNDED
        if overrides.enabled and not self.inactive:
            bounds = bounds_of("client", _merged(self._base, overrides))
        self._known.put(overrides, bounds)
        self.counts_tokens = self.counts_tokens or bounds.tokens is not None
        self.has_slots = self.has_slots or _has_slots(bounds)
        self.gives_back = self.counts_tokens or self.has_slots
        return bounds


def _ones(bounds: Bounds, key: str) -> Costs:
    """One request or slot of each limit."""
    return tuple(Cost(limit, key) for limit in bounds.requests)


def _has_slots(bounds: Bounds) -> bool:
    return any(not limit.rate for limit in bounds.requests)


def _effective(settings: RateLimiting, level: Limits | None) -> Limits | None:
    """The level, or ``None`` if it is disabled."""
    return level if settings.enabled and level is not None and level.enabled else None


def _of_addresses(settings: RateLimiting) -> Limits | None:
    if settings.per_address is not None:
        return _effective(settings, settings.per_address)
    level = _effective(settings, settings.per_client)
    return replace(level, **{name: _times(getattr(level, name)) for name in _BOUNDS}) if level is not None else None


def _times(bound: int | UnsetType) -> int | UnsetType:
    return bound if bound is UNSET else bound * ADDRESS_FACTOR


def _merged(base: Limits | None, overrides: Limits) -> Limits:
    if base is None:
        return overrides
    own = {name: getattr(overrides, name) for name in _BOUNDS}
    return replace(base, **{name: bound for name, bound in own.items() if bound is not UNSET})


def bounds_of(level: Level, limits: Limits | None) -> Bounds:
    if limits is None:
        return UNBOUNDED
    minute, hour, burst = limits.requests_per_minute, limits.requests_per_hour, limits.burst_size
    requests = []
    if minute is not UNSET:
        requests.append(_limit(level, "requestsPerMinute", minute if burst is UNSET else burst, minute / MINUTE))
    if hour is not UNSET:
        # With a limit per minute, the burst applies to that, since it would otherwise bound the hour as well.
        capacity = hour if burst is UNSET or minute is not UNSET else burst
        requests.append(_limit(level, "requestsPerHour", capacity, hour / HOUR))
    if limits.concurrent is not UNSET:
        requests.append(_limit(level, "concurrent", limits.concurrent, 0.0))
    tokens = limits.tokens_per_minute
    return Bounds(
        tuple(requests),
        _limit(level, "tokensPerMinute", tokens, tokens / MINUTE) if tokens is not UNSET else None,
    )


def _limit(level: Level, unit: Unit, capacity: float, rate: float) -> Limit:
    return Limit(level=level, unit=unit, name=f"{level}:{unit}", capacity=float(capacity), rate=rate)
