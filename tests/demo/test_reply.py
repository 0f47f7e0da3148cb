from __future__ import annotations

import pytest

from proxy.demo.reply import spoken


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ""),
        (["one", "two"], "two"),
        (["one", ""], "one"),
        (["<system-reminder>use a tool</system-reminder> one"], "one"),
        (["a <system-reminder>x</system-reminder> b <system-reminder>y</system-reminder> c"], "a   b   c"),
        (["one", "<system-reminder>only that</system-reminder>"], "one"),
        (["<session_context>\nThe directory</session_context> one"], "one"),
        (["<session_context>x</session_context><system-reminder>y</system-reminder> one"], "one"),
        (["an <system-reminder> that is open"], "an <system-reminder> that is open"),
        (["a stray </system-reminder> end"], "a stray   end"),
    ],
)
def test_the_prompt_is_the_last_text_without_what_agents_add(texts: list[str], expected: str) -> None:
    assert spoken(texts) == expected


def test_many_reminders_take_linear_time() -> None:
    assert spoken(["<system-reminder>" * 200_000]).startswith("<system-reminder>")
    assert spoken(["one " + "<system-reminder></system-reminder>" * 100_000]) == "one"
