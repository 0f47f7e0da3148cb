from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.providers import wordings

SOURCE = Path(wordings.__file__).read_text()
LISTS = {name: getattr(wordings, name) for name in vars(wordings) if name.isupper()}
ALL = [(name, wording) for name, listed in LISTS.items() for wording in listed]

# Sentences of errors that have no meaning of their own, and of prompts that validation errors quote.
NEUTRAL = ("Invalid value for 'temperature'.", "Translate this text into French.", "", "\n", "Internal server error")


def lines_without_source() -> Iterator[int]:
    """Lines with a wording that have no comment, at their end or on the line before."""
    lines = SOURCE.splitlines()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Tuple):
            for each in node.elts:
                if "#" not in lines[each.lineno - 1] and not lines[each.lineno - 2].lstrip().startswith("#"):
                    yield each.lineno


def test_every_wording_has_a_source() -> None:
    assert list(lines_without_source()) == []


@pytest.mark.parametrize(("name", "wording"), ALL)
def test_a_wording_matches_no_neutral_sentence(name: str, wording: str) -> None:
    found = re.compile(wording, re.IGNORECASE | re.MULTILINE)
    assert not [text for text in NEUTRAL if found.search(text)]


@pytest.mark.parametrize("name", LISTS)
def test_no_wording_stands_twice_in_a_list(name: str) -> None:
    assert len(set(LISTS[name])) == len(LISTS[name]) > 0
