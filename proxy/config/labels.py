"""Labels: what an operator or a client adds to a call, so that its use and cost can be grouped.

A set of labels is sorted by name, so that equal sets compare equal. A comma or ``=`` in a name would break the header
``x-router-labels``; values from the configuration, the database and tokens may have both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

Labels = tuple[tuple[str, str], ...]

MOST_LABELS: Final = 16
LONGEST_LABEL: Final = 64  # characters of a name
LONGEST_VALUE: Final = 128  # characters

_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._/-]{{0,{LONGEST_LABEL - 1}}}").fullmatch


def label_name(text: str) -> str:
    """Return ``text``. Raises ValueError."""
    if not _NAME(text):
        raise ValueError(
            f"a label's name has at most {LONGEST_LABEL} letters, digits, dots, dashes, underscores and slashes, and"
            " begins with a letter or digit"
        )
    return text


def label_value(text: str) -> str:
    """Return ``text``. Raises ValueError."""
    if not 0 < len(text) <= LONGEST_VALUE or not text.isprintable() or text != text.strip():
        raise ValueError(
            f"a label's value is printable text of 1 to {LONGEST_VALUE} characters, without spaces around it"
        )
    return text


def sorted_labels(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))
