"""The table of expected answers in ``proxy/dialects/README.md``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "proxy" / "dialects" / "README.md"
HEAD = "| feature |"


@cache
def table() -> dict[str, dict[str, str]]:
    """The word for each pair, by feature; pairs that the client's API has no such thing for are left out."""
    lines = README.read_text().splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(HEAD))
    _, *pairs = cells(lines[start])
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        feature, *words = cells(line)
        rows[feature] = {pair: word for pair, word in zip(pairs, words, strict=True) if word != "-"}
    return rows


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
