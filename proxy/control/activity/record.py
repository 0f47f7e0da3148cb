"""The facts of a settled exchange that the dashboard shows, bounded in size."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from proxy.config.labels import Labels
from proxy.dialects.usage import Usage
from proxy.exchange import Attempt, CacheOutcome, Exchange
from proxy.identity import Client
from proxy.observe.truncate import NAME, truncate
from proxy.routing.endpoints import Endpoint

TEXT = 2000  # characters of a message


class ExchangeRecord(Struct, frozen=True, gc=False):
    """An exchange that ended. ``sequence`` counts from 1; times are seconds of the loop's clock.

    Endpoint, caller, usage and attempts are shared references, none of which leads to the catalog or the body. Text
    that clients and providers wrote is truncated.
    """

    sequence: int
    request_id: str
    began: float
    ended: float
    endpoint: Endpoint
    model: str
    provider: str
    request_model: str
    response_model: str
    caller: Client | None
    address: str
    stream: bool
    status: int
    outcome: str
    error: str
    error_detail: str
    attempts: int
    fallback_used: bool
    first_content: float | None
    usage: Usage | None
    bytes_in: int
    bytes_out: int
    longest_gap: float
    events: int
    dropped_events: int
    trials: list[Attempt]
    prompt: str | None
    run: str
    labels: Labels
    cost: int | None  # nano-USD
    cache: CacheOutcome | Literal[""]
    saved: int | None  # nano-USD

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.ended - self.began


def record_of(exchange: Exchange, sequence: int, prompt: str | None = None) -> ExchangeRecord:
    """Make a record. Positional arguments: 30 keyword arguments double the cost."""
    ended = exchange.ended
    model, upstream, reported = exchange.model, exchange.request_model, exchange.response_model
    error, detail = exchange.error, exchange.error_detail
    return ExchangeRecord(
        sequence,
        exchange.request_id,
        exchange.began,
        ended if ended is not None else exchange.began,
        exchange.endpoint,
        model if len(model) <= NAME else truncate(model),
        exchange.provider,
        upstream if len(upstream) <= NAME else truncate(upstream),
        reported if len(reported) <= NAME else truncate(reported),
        exchange.caller,
        exchange.client,
        exchange.stream,
        exchange.status,
        exchange.outcome,
        truncate(error) if error else "",
        truncate(detail, TEXT) if detail else "",
        len(exchange.attempts),
        exchange.fallback_used,
        exchange.first_content,
        exchange.usage,
        exchange.bytes_in,
        exchange.bytes_out,
        exchange.longest_gap,
        exchange.events,
        exchange.dropped_events,
        exchange.attempts,
        prompt,
        exchange.run,
        exchange.labels,
        exchange.cost,
        exchange.cache,
        exchange.saved,
    )
