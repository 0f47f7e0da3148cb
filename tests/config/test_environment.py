from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.environment import gather, substitute
from proxy.config.mistakes import Mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("x${A}y${B}z", "xoneytwoz"),
        ("${NONE:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${NONE:-}", ""),
        ("${NONE:-http://host:1/a b}", "http://host:1/a b"),
        ("${A:-default}", "one"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $", "$A $"),
        ("${EMPTY}", ""),
    ],
)
def test_references_are_replaced(text: str, expected: str) -> None:
    found = substitute(text, {"A": "one", "B": "two", "EMPTY": ""})
    assert (found.text, found.unset) == (expected, ())


def test_values_of_variables_are_not_expanded_again() -> None:
    assert substitute("${A}", {"A": "${B} $${C}", "B": "two"}).text == "${B} $${C}"


def test_missing_variables_are_named_and_empty() -> None:
    found = substitute("a${X}b${Y}${Z:-z}", {})
    assert (found.text, found.names, found.unset) == ("abz", ("X", "Y", "Z"), ("X", "Y"))


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A-b}", "${A B}", "${A:=b}"])
def test_an_incomplete_reference_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="must open"):
        substitute(text, {"A": "one"})


@pytest.mark.parametrize(
    ("text", "whole"),
    [("${A}", True), ("${A:-1}", True), (" ${A}", False), ("${A}${A}", False), ("$${A}", False)],
)
def test_a_single_reference_is_recognized_as_the_whole_text(text: str, whole: bool) -> None:
    assert substitute(text, {"A": "1"}).whole is whole


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_references_is_unchanged(text: str) -> None:
    assert substitute(text, {}).text == text


@given(st.text())
def test_every_text_can_be_written_with_escapes(text: str) -> None:
    # A "$" right before "${" would need no escape of its own: "$$${" is "$" and an escaped "${".
    assert substitute(text.replace("${", "$${"), {"A": "one"}).text == text


def test_process_variables_override_the_env_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# keys\nA=file\nexport B='two words'\nC=${A}\nD\n")
    mistakes = Mistakes()
    found = gather({"A": "process"}, file, mistakes)
    assert found.variables == {"A": "process", "B": "two words", "C": "${A}"}
    assert found.file == ("A", "B", "C")
    assert mistakes == []


def test_invalid_lines_of_the_env_file_are_reported_without_text(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=1\n='sk-secret\nB=2\n")
    mistakes = Mistakes()
    assert gather({}, file, mistakes).variables["B"] == "2"
    assert mistakes == [f"{file}: line 2: expected NAME=value"]


@pytest.mark.parametrize("content", [None, b"A=\xff\xfe"])
def test_an_env_file_that_cannot_be_read_is_a_mistake(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / ".env"
    if content is not None:
        file.write_bytes(content)
    mistakes = Mistakes()
    assert gather({"A": "1"}, file, mistakes).variables == {"A": "1"}
    assert len(mistakes) == 1
    assert mistakes[0].startswith(f"{file}: ")


def test_placeholders_are_unset_in_both_sources(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=your_openai_api_key_here\nB=sk-your-key-here\nC=real\nD=<your key>\n")
    found = gather({"C": "YOUR_KEY_HERE", "E": "see you there"}, file, Mistakes())
    assert found.variables == {"C": "real", "E": "see you there"}
    assert found.placeholders == ("A", "B", "D")
