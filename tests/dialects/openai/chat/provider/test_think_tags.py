from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.chat.provider.think_tags import ThinkTags
from proxy.dialects.translation.parts import ReasoningDelta, TextDelta


def divided(*pieces: str) -> tuple[str, str]:
    """Reasoning and text."""
    tags = ThinkTags()
    parts = [part for piece in pieces for part in tags.feed(piece)] + list(tags.end())
    reasoning = "".join(part.text for part in parts if isinstance(part, ReasoningDelta))
    return reasoning, "".join(part.text for part in parts if isinstance(part, TextDelta))


@pytest.mark.parametrize(
    ("text", "reasoning", "rest"),
    [
        ("<think>\nHm.\n</think>\n\nHello", "Hm.\n", "Hello"),
        ("\n<think>Hm.</think>Hello", "Hm.", "Hello"),
        ("<think></think>Hello", "", "Hello"),
        ("<think>Hm. a < b </thin", "Hm. a < b </thin", ""),
        ("<think>Hm.</think>Hello <think>x</think>", "Hm.", "Hello <think>x</think>"),
        ("Hello <think>x</think>", "", "Hello <think>x</think>"),
        ("<thinking>x", "", "<thinking>x"),
        ("<", "", "<"),
        ("  \n", "", "  \n"),
        ("", "", ""),
    ],
)
def test_only_tags_at_the_beginning_mark_reasoning(text: str, reasoning: str, rest: str) -> None:
    assert divided(text) == (reasoning, rest)
    assert divided(*text) == (reasoning, rest)


TEXTS = st.lists(st.sampled_from(["<think>", "</think>", "<", "thi", "</thi", "nk>", "\n", " ", "Hello"])).map("".join)


@given(TEXTS, st.lists(st.integers(0, 60)))
def test_every_split_gives_the_same_reasoning_and_text(text: str, cuts: list[int]) -> None:
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert divided(*(text[begin:end] for begin, end in pairwise(ends))) == divided(text)


def test_usual_text_is_not_kept_back() -> None:
    tags = ThinkTags()
    assert list(tags.feed("H")) == [TextDelta("H")]
    assert tags.done


def test_of_reasoning_only_the_beginning_of_a_tag_is_kept_back() -> None:
    tags = ThinkTags()
    assert list(tags.feed("<think>a <")) == [ReasoningDelta("a ")]
    assert list(tags.feed("/b")) == [ReasoningDelta("</b")]
