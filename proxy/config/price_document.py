"""A catalog of prices as a document: the one that is shipped, or one at ``pricesUrl``.

A document is used whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from proxy.config.checks import hours, moment
from proxy.config.price_schema import ModelPrices
from proxy.config.sections import complaints
from proxy.config.types import Section

_MOST_REPORTED: Final = 5


class PriceDocument(Section, frozen=True):
    """``prices``: rows as in models.yaml, each list for one or more models. ``providers``: places in ``prices``, by
    provider and by key as ``proxy.pricing.vendors.keys`` has them. ``fallbacks``: providers whose prices are those of
    others where they have none. ``version`` names the prices in ledger rows; ``date``: of the document. ``notice``:
    where it comes from, and its license.
    """

    version: Annotated[str, Meta(min_length=1, max_length=100)]
    date: Annotated[str, Meta(max_length=40)]
    prices: list[list[ModelPrices]]
    providers: dict[str, dict[str, int]]
    fallbacks: dict[str, list[str]] = {}
    notice: str = ""


_decode: Final = msgspec.json.Decoder(PriceDocument).decode


def read_prices(content: bytes, *, trusted: bool = False) -> PriceDocument:
    """The document in JSON. Raises ValueError with its first mistakes. ``trusted``: its rows are not checked."""
    try:
        document = _decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"is no price document: {error}") from None
    if not trusted and (mistakes := _first(_mistakes(document))):
        raise ValueError("; ".join(mistakes))
    return document


def _first(mistakes: Iterator[str]) -> list[str]:
    return [mistake for mistake, _ in zip(mistakes, range(_MOST_REPORTED), strict=False)]


def _mistakes(document: PriceDocument) -> Iterator[str]:
    for provider, places in document.providers.items():
        for key, place in places.items():
            if not 0 <= place < len(document.prices):
                yield f"providers.{provider}.{key}: there are no prices[{place}]"
    for number, rows in enumerate(document.prices):
        if not rows:
            yield f"prices[{number}]: has no row"
        for row in rows:
            yield from (f"prices[{number}]: {text}" for text in _row_mistakes(row))


def _row_mistakes(row: ModelPrices) -> Iterator[str]:
    parts: list[Struct] = [row, *row.tiers]
    for tier in row.service_tiers.values():
        parts += [tier, *tier.tiers]
    for part in parts:
        yield from (f"{complaint.key} {complaint.text}".strip() for complaint in complaints(part))
    for check, text in ((moment, row.valid_from), (hours, row.hours)):
        try:
            check(text)
        except ValueError as error:
            yield f"{text}: {error}"
