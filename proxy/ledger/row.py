"""The rows of the ledger, and the records of the spool that carry them.

Both processes import this module, so it imports nothing of the gateway.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

UsageSource = Literal[
    "provider",  # the provider reported it
    "estimated",  # counted by the gateway: bytes of the request, events of the answer
    "unknown",  # the provider may have billed something, and nobody knows how much
    "none",  # nothing was sent, or the provider refused: nothing was used
]
CostSource = Literal["operator", "provider", "catalog", "unpriced", "none"]


class Row(Struct, array_like=True, gc=False):
    """One attempt. New columns go to the end with a default, since the two processes may differ in version.

    ``id`` and ``at`` (Unix seconds when it began) are the same in both records of an attempt, so that a row is inserted
    once, however often its record is read. Times are milliseconds from ``at``; ``None`` where it did not come so far.
    Tokens are those of ``proxy.dialects.usage``: no token is in two classes, ``None`` is unknown. ``cost`` is in
    nano-USD; ``None``: unpriced or unknown, which is never 0.

    An answer from the cache has a row without an attempt: number 0, the end ``cached``, no tokens and a cost of 0.
    """

    id: str
    at: float
    request_id: str
    attempt: int  # its number within the exchange, from 1
    endpoint: str  # path below the base path
    stream: bool
    client_dialect: str
    provider_dialect: str
    model: str  # as the client asked
    provider: str
    deployment: str
    upstream_model: str
    client: str = ""  # id of the identity
    key: str = ""
    owner: str = ""
    team: str = ""
    project: str = ""
    labels: dict[str, str] = {}
    run: str = ""
    bytes_in: int = 0
    # from here on known at the end
    bytes_out: int = 0
    answered: bool = False  # this attempt gave the client its answer
    end: str = ""  # "ok", the exchange's outcome, the failure kind of the attempt, "lost" or "cached"
    status: int = 0  # of the client's answer if ``answered``, else of the provider's refusal; 0: none
    response_model: str = ""
    sent_ms: float | None = None
    headers_ms: float | None = None
    first_content_ms: float | None = None
    ended_ms: float | None = None
    longest_gap_ms: float | None = None
    usage_source: UsageSource = "unknown"
    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    images: int | None = None
    service_tier: str = ""
    cost: int | None = None
    cost_source: CostSource = "unpriced"
    price_version: str = ""
    usd_rate: float | None = None  # units of billing.currency for one USD, if that is not USD
    counters: list[str] = []  # keys of the budget counters that it is charged to
    saved: int | None = None  # nano-USD that what came from the cache once cost; ``None``: not known, or nothing did


class Opened(Struct, array_like=True, gc=False):
    """An open record. ``row.input`` and ``row.output`` are the tokens that a lost attempt is estimated to have used.

    Prices are nano-USD for a million tokens, and for the request; ``None``: unpriced. ``held_tokens`` and ``held_cost``
    (nano-USD): what budgets hold for it, which is the most that it is charged if it is lost; ``None``: no budget does.
    New fields go to the end with a default, as those of a row.
    """

    row: Row
    input_price: int | None = None
    output_price: int | None = None
    request_price: int | None = None
    held_tokens: int | None = None
    held_cost: int | None = None


COLUMNS: Final[tuple[str, ...]] = Row.__struct_fields__

encode: Final = msgspec.msgpack.Encoder().encode
decode_opened: Final = msgspec.msgpack.Decoder(Opened).decode
decode_closed: Final = msgspec.msgpack.Decoder(Row).decode
