"""Amounts of the configured currency as nano-USD, in which all money is kept, and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

DIGITS: Final = 9  # of nano-USD behind the point


class ExchangeRate(Struct, frozen=True):
    """``units`` of the currency are worth one USD."""

    units: float = 1.0

    def nano(self, amount: float) -> int:
        """The nearest nano-USD; USD lose no digit. Raises ValueError for more than nine decimals."""
        exact = Decimal(repr(amount)).normalize()
        if int(exact.as_tuple().exponent) < -DIGITS:
            raise ValueError("has more than nine decimals")
        return round((exact / self._units).scaleb(DIGITS))

    def amount(self, nano: int) -> float:
        """Nano-USD in the currency. An amount that was converted by ``nano`` is the same again, as far as that is
        possible: digits that are smaller than a nano-USD are rounded.
        """
        return float(round(Decimal(nano).scaleb(-DIGITS) * self._units, self._decimals))

    @property
    def _units(self) -> Decimal:
        return Decimal(repr(self.units))

    @property
    def _decimals(self) -> int:
        units = self._units
        return max(0, DIGITS - 1 - units.adjusted()) if units > 1 else DIGITS
