"""The catalog: prices that providers publish, by provider and model."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from proxy.config.price_document import PriceDocument, read_prices
from proxy.pricing.operator import compiled
from proxy.pricing.rates import FALLBACKS, FALLBACKS_WITHOUT_AUDIO, Fallbacks
from proxy.pricing.sheet import PriceSheet
from proxy.pricing.vendors import keys, place_of

# Written by scripts/compile-prices.
SHIPPED: Final = Path(__file__).with_name("catalog.json")


class PriceCatalog:
    """Sheets by model, compiled when they are first wanted. Models with equal prices share one."""

    def __init__(self, document: PriceDocument) -> None:
        self._document = document
        self._sheets: dict[tuple[int, Fallbacks], PriceSheet] = {}

    def __repr__(self) -> str:
        return f"<PriceCatalog {self.version}>"

    @property
    def version(self) -> str:
        return self._document.version

    @property
    def date(self) -> str:
        return self._document.date

    def sheet(self, base_url: str, model: str) -> PriceSheet | None:
        """The prices of a provider's model; ``None``: the catalog has none for it."""
        entry = self._entry(*place_of(base_url, model))
        if entry is None:
            return None
        found = self._sheets.get(entry)
        if found is None:
            place, fallbacks = entry
            rows = compiled(self._document.prices[place], fallbacks)
            found = self._sheets[entry] = PriceSheet(rows, "catalog", self.version)
        return found

    def _entry(self, vendor: str, model: str) -> tuple[int, Fallbacks] | None:
        """The place of the model's prices in the document, and how classes without a price are billed."""
        providers = self._document.providers
        for name in (vendor, *self._document.fallbacks.get(vendor, ())):
            places = providers.get(name)
            if not places:
                continue
            for key in keys(name, model):
                place = places.get(key)
                if place is not None:
                    return place, FALLBACKS_WITHOUT_AUDIO if name == "openai" else FALLBACKS
        return None


@cache
def shipped() -> PriceCatalog:
    """The catalog of this version, read when it is first wanted."""
    return PriceCatalog(read_prices(SHIPPED.read_bytes(), trusted=True))
