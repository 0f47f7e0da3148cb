"""Figures of an exchange that has ended."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from proxy.exchange import Attempt, Exchange


def streamed_tokens(exchange: Exchange) -> int:
    """Tokens in a stream, as far as known; without usage, the number of events.

    Reasoning is billed, but not always streamed. So the result is at most the number of events, unless the output
    without reasoning is more.
    """
    usage = exchange.usage
    if usage is not None and usage.details is not UNSET:
        usage = usage.summed()
    if usage is None or usage.output is None:
        return exchange.events
    visible = usage.output
    return max(visible, min(exchange.events, visible + usage.reasoning)) if usage.reasoning else visible


def generated(exchange: Exchange) -> int | None:
    """Output tokens, including reasoning; without usage, the number of events, most of which are one token.

    ``None``: unknown.
    """
    usage = exchange.usage
    if usage is not None and usage.details is not UNSET:
        usage = usage.summed()
    if usage is not None and usage.output is not None:
        return usage.output + (usage.reasoning or 0)
    return exchange.events or None


def own_share(exchange: Exchange, attempts: Sequence[Attempt]) -> float:
    """Seconds that the gateway added; ``attempts`` are the exchange's, at least one.

    Time within attempts and retry delays is not counted. Of a stream, only the time before its first content is known.
    Time that a slow client takes to send or receive is counted.
    """
    share = attempts[0].began - exchange.began
    if exchange.first_content is None and (end := exchange.ended) is not None:
        answered = attempts[-1].ended
        if answered is not None:
            share += end - answered
    return share if share > 0.0 else 0.0
