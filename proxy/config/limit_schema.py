"""The configuration's shape: rate limits, as clients, models, keys and routes have them."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from proxy.config.types import PositiveInt, Section


class Limits(Section, frozen=True):
    """Limits for each member of one level; unset: no limit.

    ``burst_size``: requests that may come at once (unset: the number per minute, or per hour).
    """

    enabled: bool = True
    requests_per_minute: PositiveInt | UnsetType = UNSET
    requests_per_hour: PositiveInt | UnsetType = UNSET
    tokens_per_minute: PositiveInt | UnsetType = UNSET
    concurrent: PositiveInt | UnsetType = UNSET
    burst_size: PositiveInt | UnsetType = UNSET
