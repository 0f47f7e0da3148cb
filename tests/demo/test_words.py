from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.demo import words


@given(st.text())
def test_pieces_join_to_the_text_and_hold_one_word_each(text: str) -> None:
    pieces = words.pieces(text)
    assert "".join(pieces) == text
    assert all(words.count(piece) == 1 for piece in pieces[:-1])
    assert sum(map(words.count, pieces)) == words.count(text)


@given(st.text(), st.integers(min_value=1, max_value=20))
def test_slices_join_to_the_text(text: str, length: int) -> None:
    assert "".join(words.slices(text, length)) == text


def test_the_same_prompt_gets_the_same_words_and_another_gets_others() -> None:
    assert words.prose("one", 3) == words.prose("one", 3) != words.prose("two", 3)


def test_a_prompt_is_repeated_up_to_twelve_words() -> None:
    assert words.shortened("a b\nc") == "a b c"
    assert words.shortened(" ".join("abcdefghijklm")) == "a b c d e f g h i j k l …"
    assert words.shortened(" ") == "nothing"


def test_a_prompt_with_braces_is_not_a_template() -> None:
    assert "{prompt} {0}" in words.prose("{prompt} {0}", 1)


def test_any_number_of_sentences_can_be_generated() -> None:
    assert words.count(words.prose("x", 120)) > 1000
