"""What Codex is told of a call that a budget refuses."""

from __future__ import annotations

import json

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.dialects.openai.codex import QUOTA_WRITER, is_codex, shown_line
from proxy.errors import BudgetExceeded


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Originator": "codex_exec"}, True),
        ({"originator": "Codex Desktop"}, True),
        ({"originator": "other"}, False),
        ({"session-id": "1"}, False),
    ],
)
def test_codex_names_itself(headers: dict[str, str], found: bool) -> None:
    assert is_codex(CIMultiDictProxy(CIMultiDict(headers))) is found


def test_it_shows_the_sentence_of_a_limit_that_is_reached() -> None:
    fault = BudgetExceeded("The budget 'runs' ends. It is not renewed.")
    error = json.loads(QUOTA_WRITER.error_body(fault))["error"]
    assert (error["type"], error["code"], error["message"]) == (
        "usage_limit_reached",
        "insufficient_quota",
        fault.message,
    )
    assert shown_line(fault) == b"x-codex-promo-message: The budget 'runs' ends. It is not renewed\r\n"


def test_the_line_is_ascii_and_one_line() -> None:
    assert shown_line(BudgetExceeded("0.50 €.")) == b"x-codex-promo-message: 0.50 ?\r\n"
