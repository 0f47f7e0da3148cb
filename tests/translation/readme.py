"""The tables of expected answers in ``proxy/dialects/README.md``, one for each API of clients.

``python -m tests.translation.readme`` writes them anew from the cases and flows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tests.translation.cells import APIS, PAIRS, Api, Pair

README: Final = Path(__file__).resolve().parents[2] / "proxy" / "dialects" / "README.md"
TITLES: Final[Mapping[Api, str]] = {
    "chat": "Chat Completions",
    "responses": "Responses",
    "messages": "Messages",
    "gemini": "Gemini",
}
Words = dict[str, dict[Pair, str]]  # by row


@cache
def tables() -> Words:
    """The word for each pair, by feature; what a client lacks is left out."""
    found: Words = {}
    for client, (start, end) in _places(README.read_text()).items():
        lines = README.read_text()[start:end].splitlines()
        providers = [pair.provider for pair in PAIRS if pair.client == client]
        for line in lines[2:]:
            feature, *words = (cell.strip() for cell in line.strip("|").split("|"))
            cells = {Pair(client, each): word for each, word in zip(providers, words, strict=True) if word != "-"}
            found.setdefault(feature, {}).update(cells)
    return found


def rendered(client: Api, words: Mapping[str, Mapping[Pair, str]]) -> str:
    """The table of a client."""
    pairs = [pair for pair in PAIRS if pair.client == client]
    head = [f"{TITLES[client]} client", *(f"to {TITLES[pair.provider]}" for pair in pairs)]
    rows = [
        [feature, *(cells.get(pair, "-") for pair in pairs)]
        for feature, cells in words.items()
        if any(pair in cells for pair in pairs)
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def _places(text: str) -> dict[Api, tuple[int, int]]:
    """Where the table of each client begins and ends."""
    found: dict[Api, tuple[int, int]] = {}
    for client in APIS:
        table = re.search(rf"(?m)^\| {TITLES[client]} client \|.*\n(?:\|.*\n)*", text)
        if table is not None:
            found[client] = table.span()
    return found


def main() -> None:
    from tests.translation.test_table import proven

    text, words = (
        README.read_text(),
        {row: {pair: min(found) for pair, found in cells.items()} for row, cells in proven().items()},
    )
    for client, (start, end) in sorted(_places(text).items(), key=lambda place: -place[1][0]):
        text = text[:start] + rendered(client, words) + text[end:]
    README.write_text(text)


if __name__ == "__main__":
    main()
