"""One access line for each request to a service."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from proxy.observe.log import Level, Log, caller_name
from proxy.observe.truncate import NAME, truncate
from proxy.services.exchange import ServiceExchange


class AccessLine(Struct, gc=False):
    """The log line of a request. Times are milliseconds. ``address``: the last one that got it, ``""`` if none did.

    ``failures``: kinds of the attempts that failed, in order.
    """

    time: str
    level: Level
    event: str
    request_id: str
    service: str
    route: str
    method: str
    path: str
    address: str
    status: int
    outcome: str
    error: str
    detail: str
    attempts: int
    failures: list[str] | UnsetType
    head_ms: float | None
    duration_ms: float | None
    bytes_in: int
    bytes_out: int
    client: str
    caller: str | UnsetType
    owner: str | UnsetType


class AccessLog:
    """A batch observer of requests to services."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, ended: Sequence[ServiceExchange]) -> None:
        self._log.ended(ended, _level, self._line, _readable)

    def _line(self, exchange: ServiceExchange, stamp: str) -> AccessLine:
        attempts, caller, began, ended = exchange.attempts, exchange.caller, exchange.began, exchange.ended
        last = attempts[-1] if attempts else None
        headed_at = last.headed_at if last is not None else None
        usual = exchange.outcome == "ok" and len(attempts) < 2
        # By position, since keyword arguments would double the cost.
        return AccessLine(
            stamp,
            "info" if usual else _level(exchange),
            "service",
            exchange.request_id,
            exchange.service,
            exchange.route,
            exchange.method,
            exchange.path if len(exchange.path) <= NAME else truncate(exchange.path),
            last.url if last is not None else "",
            exchange.status,
            exchange.outcome,
            exchange.error,
            exchange.error_detail and self._log.text(exchange.error_detail),
            len(attempts),
            UNSET if usual else [each.failure for each in attempts if each.failure] or UNSET,
            round((headed_at - began) * 1e6) / 1e3 if headed_at is not None else None,
            round((ended - began) * 1e6) / 1e3 if ended is not None else None,
            exchange.bytes_in,
            exchange.bytes_out,
            exchange.client,
            UNSET if caller is None else caller_name(caller.id),
            UNSET if caller is None else caller.owner or UNSET,
        )


def _level(exchange: ServiceExchange) -> Level:
    """``warning`` if the gateway or the service failed; errors and disconnects of clients are ``info``."""
    if exchange.outcome in ("broken", "cancelled"):
        return "warning"
    return "warning" if exchange.outcome == "error" and not 400 <= exchange.status < 500 else "info"


def _readable(line: AccessLine) -> str:
    """The line for a terminal, without its time and level."""
    words = [f"{line.status or '---'} {line.outcome} {line.method} {line.path} -> {line.service or '-'} {line.address}"]
    if line.attempts > 1:
        words.append(f"{line.attempts} attempts")
    if line.duration_ms is not None:
        words.append(f"{line.duration_ms:.0f} ms")
    words.append(line.request_id)
    words += filter(None, (line.error, line.detail))
    return "  ".join(words)
