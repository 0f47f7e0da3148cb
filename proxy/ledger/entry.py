"""The records of an attempt, encoded: what is known when it is sent, and the whole row when its exchange is settled.

They are the bytes of ``row.Opened`` and ``row.Row``. What is the same for many attempts, such as who asked for what, is
encoded once, as many columns in one ``Raw``. So the head of the array, which counts them, is put before it by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct

from proxy.database.columns import CACHED
from proxy.dialects.base import BYTES_PER_TOKEN
from proxy.dialects.call import Call
from proxy.dialects.usage import UsageDetails
from proxy.exchange import NOTHING_HELD, Attempt, Exchange
from proxy.ledger.row import COLUMNS, Opened, Row
from proxy.observe.truncate import NAME, truncate
from proxy.pricing.bill import UNKNOWN
from proxy.pricing.rates import Rates
from proxy.pricing.sheet import PriceSheet
from proxy.routing.estimate import rough_input

MOST_TEXT: Final = 16 * 1024  # bytes of a body that counts as text; a larger one may hold images

_encode: Final = msgspec.msgpack.Encoder().encode


def _pack(values: tuple[object, ...]) -> bytes:
    """The elements of a MessagePack array without its head, which has 1 or 3 bytes.

    https://github.com/msgpack/msgpack/blob/master/spec.md#array-format-family
    """
    try:
        packed = _encode(values)
    except UnicodeEncodeError:  # as JSON can say half of a surrogate pair
        packed = _encode(_readable(values))
    return packed[1 if len(values) < 16 else 3 :]


def _readable(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_readable, value))
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


# The columns of an open record's row in groups: four of the entry, ``Shared.who``, to the input, between input and
# output, to the counters, these.
_COUNTS: Final = COLUMNS.index("bytes_in")
_INPUT: Final = COLUMNS.index("input")
_OUTPUT: Final = COLUMNS.index("output")
_COUNTERS: Final = COLUMNS.index("counters")
_ROW: Final = b"\xdc" + (_COUNTERS + 1).to_bytes(2, "big")  # the head of an array: few rows have later columns
_OPENED: Final = bytes((0x90 + len(Opened.__struct_fields__),)) + _ROW
_UNSENT: Final = Row("", 0.0, "", 0, "", False, "", "", "", "", "", "")
_AT_FIRST: Final = _pack(msgspec.structs.astuple(_UNSENT)[_COUNTS:_INPUT])
_ROW_WITH_SAVED: Final = b"\xdc" + len(COLUMNS).to_bytes(2, "big")
_NO_TIMES: Final = Raw(_pack((None, None, None)))  # of providers
_CACHED_REST: Final = Raw(
    _pack(
        msgspec.structs.astuple(
            msgspec.structs.replace(_UNSENT, usage_source="none", input=0, output=0, cost=0, cost_source="none")
        )[COLUMNS.index("longest_gap_ms") : _COUNTERS + 1]
    )
)
_NO_CACHES: Final = Raw(_pack(msgspec.structs.astuple(_UNSENT)[_INPUT + 1 : _OUTPUT]))
_NOT_HELD: Final = Raw(_pack((None, None)))


class Shared(Struct):
    """What attempts of one client at one deployment have in common.

    ``who`` are columns of both records, encoded. ``opening`` is ``who`` with those up to the input, ``estimate`` those
    from the output to the counters, and ``prices`` the prices of an open record, both by ``rates``. ``output``: tokens
    that a lost attempt is estimated to have used, unless ``most_output`` of its call is less. ``free``: no provider
    bills it.
    """

    who: Raw
    opening: Raw
    sheet: PriceSheet | None
    output: int
    most_output: Callable[[Call, int, int], int]  # ``RequestReader.output_tokens``
    free: bool
    usd_rate: float | None
    rates: Rates | None = None
    estimate: Raw = Raw()
    prices: Raw = Raw()


class Entry(Struct, frozen=True, gc=False):
    """An attempt that was opened, and what its records need of then.

    ``input``, ``output``: estimated tokens. ``held``: tokens and nano-USD of ``HeldSpend``, encoded.
    """

    id: str
    at: float
    request_id: str
    number: int
    input: int
    output: int
    counters: tuple[str, ...]
    held: Raw
    shared: Shared


def begin(exchange: Exchange, attempt: Attempt, call: Call | None, identifier: str, shared: Shared) -> Entry:
    """The entry of an attempt that is about to be sent."""
    attempts = exchange.attempts
    number = len(attempts) if attempts[-1] is attempt else attempts.index(attempt) + 1
    size, output = MOST_TEXT if call is None else len(call.body), shared.output
    if shared.free:
        tokens = 0
    elif size < MOST_TEXT:
        tokens = size // BYTES_PER_TOKEN
    else:
        tokens = rough_input(exchange.endpoint, call, exchange.catalog.config.rate_limiting.token_estimate)
    if output and call is not None:
        most = shared.most_output(call, output, output)
        if most < output:
            output = most
    reservation = exchange.reservation
    counters, most_tokens, most_cost = NOTHING_HELD if reservation is None else reservation.held(attempt.deployment)
    held = Raw(_pack((most_tokens, most_cost))) if counters else _NOT_HELD
    return Entry(identifier, attempt.at, exchange.request_id, number, tokens, output, counters, held, shared)


def share(exchange: Exchange, attempt: Attempt) -> Shared:
    """What an attempt has in common with others of the same client, deployment, endpoint, model, labels and run."""
    deployment, endpoint, caller = attempt.deployment, exchange.endpoint, exchange.caller
    model = exchange.model
    ids = ("", "", "", "", "") if caller is None else (caller.id, caller.key, caller.owner, caller.team, caller.project)
    who = _pack(
        (
            endpoint.path,
            exchange.stream,
            endpoint.dialect.name,
            deployment.dialects[endpoint.path].name,
            truncate(model),
            deployment.provider.name,
            deployment.name,
            truncate(deployment.upstream_model or model),
            *ids,
            dict(exchange.labels),
            exchange.run,
        )
    )
    config = exchange.catalog.config
    output = config.rate_limiting.token_estimate.output if endpoint.dialect.generates else 0
    if deployment.model is not None and deployment.model.max_output_tokens:
        output = min(output, deployment.model.max_output_tokens)
    usd_rate = config.billing.usd_rate
    rate = None if usd_rate is UNSET else usd_rate
    free = endpoint.dialect.task == "count"
    most_output = endpoint.dialect.requests.output_tokens
    found = Shared(Raw(who), Raw(who + _AT_FIRST), deployment.prices, output, most_output, free, rate)
    _estimate(found, None)
    return found


def opened(entry: Entry) -> bytes:
    """The open record. It has what the attempt is estimated to use if its gateway is killed."""
    shared = entry.shared
    sheet = shared.sheet
    rates = None if sheet is None else sheet.rates(entry.at, "", entry.input)
    if rates is not shared.rates:
        _estimate(shared, rates)
    columns = (
        entry.id,
        entry.at,
        entry.request_id,
        entry.number,
        shared.opening,
        entry.input,
        _NO_CACHES,
        entry.output,
        shared.estimate,
        entry.counters,
        shared.prices,
        entry.held,
    )
    return _OPENED + _pack(columns)


def closed(exchange: Exchange, attempt: Attempt, entry: Entry) -> bytes:
    """The close record of an attempt whose exchange is settled and billed. Times are milliseconds since it began."""
    attempts, began, model = exchange.attempts, attempt.began, attempt.response_model
    end: str
    if attempt is (answering(exchange) if attempt.failure or len(attempts) > 1 else attempt):
        answered, end, status, bytes_out = True, exchange.outcome, exchange.status, exchange.bytes_out
        if len(attempts) > 1:
            bytes_out -= sum(each.bytes_out for each in attempts)
    else:
        answered, status, bytes_out = False, attempt.status, attempt.bytes_out
        end = attempt.failure or exchange.outcome
    sent, headers, first, ended = attempt.connected, attempt.headers, attempt.first_content, attempt.ended
    bill = attempt.bill or UNKNOWN
    usage, cost, shared = bill.usage, bill.cost, entry.shared
    written, media = (_NO_WRITTEN, _NO_MEDIA) if usage.details is UNSET else _details(usage.details)
    # Times are not rounded, which would cost more than all the rest. With more than 30 elements it would take a third
    # longer, since CPython then makes a list first.
    columns = (
        entry.id,
        entry.at,
        entry.request_id,
        entry.number,
        shared.who,
        exchange.bytes_in,
        bytes_out,
        answered,
        end,
        status,
        model if len(model) <= NAME else truncate(model),
        None if sent is None else (sent - began) * 1e3,
        None if headers is None else (headers - began) * 1e3,
        None if first is None else (first - began) * 1e3,
        None if ended is None else (ended - began) * 1e3,
        attempt.longest_gap * 1e3 if attempt.events else None,
        bill.source,
        usage.input,
        usage.cache_read,
        written,
        usage.output,
        usage.reasoning,
        media,
        cost.nano,
        cost.source,
        cost.version,
        shared.usd_rate,
        entry.counters,
    )
    if answered and exchange.saved is not None:  # a batch of embeddings that was cached in part
        return _ROW_WITH_SAVED + _pack((*columns, exchange.saved))
    return _ROW + _pack(columns)


def cached(exchange: Exchange, identifier: str, at: float, now: float, bytes_out: int, deployment: str) -> bytes:
    """The row of an answer from the cache, which began at the Unix time ``at``. ``now``: in seconds of the loop."""
    endpoint, caller = exchange.endpoint, exchange.caller
    ids = ("", "", "", "", "") if caller is None else (caller.id, caller.key, caller.owner, caller.team, caller.project)
    columns = (
        identifier,
        at,
        exchange.request_id,
        0,
        endpoint.path,
        exchange.stream,
        endpoint.dialect.name,
        endpoint.dialect.name,
        truncate(exchange.model),
        exchange.provider,
        deployment,
        truncate(exchange.request_model),
        *ids,
        dict(exchange.labels),
        exchange.run,
        0,
        bytes_out,
        True,
        CACHED,
        200,
        truncate(exchange.response_model),
        _NO_TIMES,
        (now - exchange.began) * 1e3,
        _CACHED_REST,
        exchange.saved,
    )
    return _ROW_WITH_SAVED + _pack(columns)


def _details(details: UsageDetails) -> tuple[Raw, Raw]:
    """The columns of tokens that a cache got, and those from ``audio_input`` to ``service_tier``."""
    media = (
        details.audio_input,
        details.audio_output,
        details.image_input,
        details.image_output,
        details.images,
        details.service_tier and truncate(details.service_tier),
    )
    return Raw(_pack((details.cache_write, details.cache_write_1h))), Raw(_pack(media))


def answering(exchange: Exchange) -> Attempt | None:
    """The attempt that gave the client its answer, or the part of it that came last."""
    for attempt in reversed(exchange.attempts):
        if not attempt.failure or (attempt.first_content is not None and exchange.first_content is not None):
            return attempt
    return None


def _estimate(shared: Shared, rates: Rates | None) -> None:
    """Encode what an open record says by the prices in force: what a lost attempt is estimated to cost."""
    row, sheet = msgspec.structs.replace(_UNSENT, usd_rate=shared.usd_rate), shared.sheet
    if sheet is not None and rates is not None:
        row.cost_source, row.price_version = sheet.source, sheet.version
    shared.rates, shared.estimate = rates, Raw(_pack(msgspec.structs.astuple(row)[_OUTPUT + 1 : _COUNTERS]))
    prices = (None, None, None) if rates is None or shared.free else (rates.input, rates.output, rates.request)
    shared.prices = Raw(_pack(prices))


_NO_WRITTEN, _NO_MEDIA = _details(UsageDetails())
