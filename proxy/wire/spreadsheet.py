"""Cells of CSV files, which people open in spreadsheets."""

from __future__ import annotations

from typing import Final

# How a cell begins that spreadsheets compute (OWASP, CSV injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
