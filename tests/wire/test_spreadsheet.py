"""Cells that spreadsheets do not compute."""

from __future__ import annotations

import pytest

from proxy.wire.spreadsheet import safe_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_becomes_text(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "gpt-4o", "a=b", "'=1", "0"])
def test_other_text_stays(text: str) -> None:
    assert safe_cell(text) == text
