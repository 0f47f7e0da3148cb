"""The bill of each attempt: its usage, where the counts come from, and its cost.

An answer is billed by what its provider reported. Where that is missing or ends before the answer did, the rest is
estimated: the input by the bytes of the request, the output by the events of the stream. If the gateway or its client
stopped waiting before any content, at least the input is billed, or a client could have its calls for nothing by
cutting them. Of a plain answer that a client left, or that lost a race, the output is billed too, by the time that its
model had (``proxy.routing.estimate``): such an answer comes as a whole, so the model was writing. A stream without
content has no output, and neither has an attempt whose provider was silent for a whole timeout, as it has failed. An
attempt that was sent, and whose provider broke off, is *unknown*, which is not nothing.

A request that is sent again, as a kept-alive connection died under it, is one attempt and has one bill, that of the
answer: a server that closes an idle connection has not read the request. Without an answer it is unknown, even if the
second connection failed.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, structs

from proxy.dialects.base import BYTES_PER_TOKEN
from proxy.dialects.usage import Usage, UsageDetails
from proxy.exchange import Attempt, Exchange
from proxy.pricing.bill import FREE, UNKNOWN, Bill
from proxy.pricing.cost import UNPRICED, RatedCost
from proxy.pricing.rating import rate
from proxy.routing.endpoints import OPAQUE

MOST_TOKENS: Final = 1 << 40  # a larger count is a mistake of the provider
MOST_COST: Final = 10**15  # nano-USD; a larger cost is a mistake too, and might not fit into a record
# Errors of a proxy that has lost its patience, or an answer, while the model may have run on: at least the input is
# billed. Other errors are not: https://platform.openai.com/docs/guides/error-codes,
# https://docs.claude.com/en/api/errors. 520 and 524:
# https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/
MAY_BE_BILLED: Final = frozenset((504, 520, 524, 598, 599))


def plausible(usage: Usage | None) -> Usage | None:
    """The usage itself; ``None`` if a count is below 0, or too large for a database: then nothing was reported."""
    if usage is None:
        return None
    # The bitwise "or" of integers is negative if one of them is.
    counts = (usage.input or 0) | (usage.cache_read or 0) | (usage.output or 0) | (usage.reasoning or 0)
    if usage.details is not UNSET:
        counts |= _details_of(usage.details)
    return usage if 0 <= counts < MOST_TOKENS else None


def bill(exchange: Exchange) -> None:
    """Bill all attempts of an exchange that has ended, and add up its cost."""
    attempts = exchange.attempts
    if len(attempts) == 1:
        attempt = attempts[0]
        if attempt.bill is None:
            attempt.bill = bill_of(exchange, attempt)
        exchange.cost = attempt.bill.cost.nano
        return
    for attempt in attempts:
        if attempt.bill is None:
            attempt.bill = bill_of(exchange, attempt)
    exchange.cost = cost_so_far(exchange) if attempts else None


def cost_so_far(exchange: Exchange) -> int | None:
    """Nano-USD of all attempts; ``None``: that of one is not known, or it has still to report its usage."""
    total = 0
    for attempt in exchange.attempts:
        if attempt.bill is None and attempt.ended is not None:
            attempt.bill = bill_of(exchange, attempt)
        cost = _running_cost(attempt) if attempt.bill is None else attempt.bill.cost.nano
        if cost is None:
            return None
        total += cost
    return total


def bill_of(exchange: Exchange, attempt: Attempt) -> Bill:
    """The bill of an attempt that has ended."""
    usage = attempt.usage
    if usage is not None:
        if attempt.partial:
            return _estimated(attempt, _completed(usage, exchange.estimated_input, attempt.events))
        return Bill("provider", usage, _rated(attempt, usage))
    if attempt.connected is None or exchange.free or exchange.endpoint.dialect.task == "count":
        return FREE
    status = attempt.status or _opaque_status(exchange)
    if status >= 400:
        return _unread(exchange, attempt, 0) if status in MAY_BE_BILLED else FREE
    output = _estimated_output(exchange, attempt)
    if output is not None:
        return _estimated(attempt, Usage(exchange.estimated_input, None, output))
    # Media that had begun may be nearly whole, so its output is not 0.
    if not attempt.given_up or attempt.first_content is not None:
        return UNKNOWN
    return _unread(exchange, attempt, attempt.unseen_output)


def _running_cost(attempt: Attempt) -> int | None:
    """The cost of an attempt whose answer is about to end."""
    usage = attempt.usage
    if usage is None or attempt.partial:
        return None
    return _rated(attempt, usage).nano


def _estimated(attempt: Attempt, usage: Usage) -> Bill:
    return Bill("estimated", usage, _rated(attempt, usage))


def _rated(attempt: Attempt, usage: Usage) -> RatedCost:
    found = rate(attempt.deployment.prices, usage, attempt.at)
    return found if found.nano is None or found.nano <= MOST_COST else UNPRICED


def _unread(exchange: Exchange, attempt: Attempt, output: int) -> Bill:
    """The bill of an attempt whose provider has read the request, and of whose answer nothing was read."""
    if exchange.estimated_input is None or exchange.endpoint is OPAQUE:
        return UNKNOWN  # what the body of a request that is relayed untouched contains is not known
    return _estimated(attempt, Usage(exchange.estimated_input, None, output))


def _completed(usage: Usage, estimated_input: int | None, events: int) -> Usage:
    """The usage of a stream that broke, with its events as output where they are more than what was reported."""
    input_ = estimated_input if usage.input is None else usage.input
    output = max(usage.output or 0, events - (usage.reasoning or 0))
    details = usage.details
    if details is not UNSET and details.reported_cost is not None:  # of a part of the answer
        details = structs.replace(details, reported_cost=None)
    return Usage(input_, usage.cache_read, output, usage.reasoning, details)


def _estimated_output(exchange: Exchange, attempt: Attempt) -> int | None:
    """Tokens of an answer without usage; ``None``: it brought no content, or content that is not billed by its text."""
    if exchange.endpoint.media:
        return None
    if attempt.answer_bytes:
        return attempt.answer_bytes // BYTES_PER_TOKEN if exchange.endpoint.dialect.generates else 0
    return attempt.events or None if attempt.first_content is not None else None


def _opaque_status(exchange: Exchange) -> int:
    """The status of an error that was relayed without being read; 0: of no error."""
    return exchange.status if exchange.endpoint is OPAQUE else 0


def _details_of(details: UsageDetails) -> int:
    """All its numbers, joined by the bitwise "or"."""
    counts = 0
    for count in structs.astuple(details):
        if isinstance(count, int):
            counts |= count
    return counts
