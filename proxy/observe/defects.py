"""Warnings about events that were dropped, or relayed although they are not strict JSON."""

from __future__ import annotations

from proxy.exchange import Exchange
from proxy.observe.log import Log


def warn_of_defects(log: Log, exchange: Exchange) -> None:
    """Log the defects of an exchange, once at its end."""
    if exchange.dropped_events:
        log.warning(
            "The provider sent events that no client could read; they were dropped.",
            request_id=exchange.request_id,
            provider=exchange.provider,
            events=exchange.dropped_events,
            lost=exchange.lost_events,
        )
    if exchange.lenient_events:
        log.warning(
            "The provider sent JSON that strict parsers refuse (NaN, Infinity, control characters, broken UTF-8); "
            "it was relayed as it came.",
            request_id=exchange.request_id,
            provider=exchange.provider,
            events=exchange.lenient_events,
        )
