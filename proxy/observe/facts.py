"""What can be told of an exchange only once it has ended."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from proxy.exchange import Attempt, Exchange


def streamed_tokens(exchange: Exchange) -> int:
    """How many tokens a stream carried, as far as can be known; of one that does not tell, its events.

    Reasoning is billed, but not every provider streams it: there are no more tokens in a stream than events, unless
    the visible ones alone are more.
    """
    usage = exchange.usage
    if usage is not None and usage.details is not UNSET:
        usage = usage.summed()
    if usage is None or usage.output is None:
        return exchange.events
    visible = usage.output
    return max(visible, min(exchange.events, visible + usage.reasoning)) if usage.reasoning else visible


def generated(exchange: Exchange) -> int | None:
    """Tokens of the answer, reasoning included; of a stream that does not say, its events, which are mostly one each.

    ``None``: not known.
    """
    usage = exchange.usage
    if usage is not None and usage.details is not UNSET:
        usage = usage.summed()
    if usage is not None and usage.output is not None:
        return usage.output + (usage.reasoning or 0)
    return exchange.events or None


def own_share(exchange: Exchange, attempts: Sequence[Attempt]) -> float:
    """Seconds; ``attempts`` are the exchange's, one at least.

    While an attempt runs, or a retry waits, it is the provider's; of a stream only what comes before its first content
    is known. A client that is slow to send its request, or to take its answer, counts as us.
    """
    share = attempts[0].began - exchange.began
    if exchange.first_content is None and (end := exchange.ended) is not None:
        answered = attempts[-1].ended
        if answered is not None:
            share += end - answered
    return share if share > 0.0 else 0.0
