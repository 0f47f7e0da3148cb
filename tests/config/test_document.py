from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.document import parse, read
from proxy.config.mistakes import Mistakes


def reading(folder: Path, content: str | bytes) -> tuple[object, list[str]]:
    """The value and the mistakes, without the file's name."""
    file = folder / "c.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    mistakes = Mistakes()
    return read(file, mistakes), [line.removeprefix(f"{file}: ") for line in mistakes]


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "{}", "null"])
def test_an_empty_file_is_an_empty_mapping(tmp_path: Path, content: str) -> None:
    assert reading(tmp_path, content) == ({}, [])


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    value, mistakes = reading(tmp_path, "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\n")
    assert value == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 2}}
    assert mistakes == []


BOMB = "\n".join(["a0: &a0 [1, 1, 1, 1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))])
MERGED = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9))]
)


@pytest.mark.parametrize("content", [BOMB, MERGED], ids=["lists", "merges"])
def test_aliases_that_expand_too_much_are_rejected_before_expansion(tmp_path: Path, content: str) -> None:
    tracemalloc.start()
    try:
        value, (mistake,) = reading(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert value == {}
    assert mistake.startswith("aliases (*) expand ")


def test_many_models_may_share_what_they_have_in_common(tmp_path: Path) -> None:
    shared = "x: &x {type: chat, tags: [a, b], timeouts: {idle: 1, total: 2}, speedTier: fast}\n"
    content = shared + "models:\n" + "".join(f"- {{<<: *x, name: m{n}}}\n" for n in range(3000))
    value, mistakes = reading(tmp_path, content)
    assert mistakes == []
    assert isinstance(value, dict)
    assert value["models"][2999] == value["x"] | {"name": "m2999"}


def test_each_duplicate_key_is_reported_with_its_lines(tmp_path: Path) -> None:
    content = "a: 1\nb:\n  - {c: 1, c: 2}\na: 2\nd: {e: 1,\n  e: 2}\na: 3\n"
    _, mistakes = reading(tmp_path, content)
    assert sorted(mistakes) == [
        'line 3: duplicate key "c" (first on line 3)',
        'line 4: duplicate key "a" (first on line 1)',
        'line 6: duplicate key "e" (first on line 5)',
        'line 7: duplicate key "a" (first on line 1)',
    ]


def test_the_same_key_in_two_mappings_is_not_a_duplicate(tmp_path: Path) -> None:
    assert reading(tmp_path, "a: {x: 1}\nb: {x: 1}\n1: a\n'1': b\n")[1] == []


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("a: 1\n  b: 2\n", "line 2, column 4: "),
        ("a: [1, 2\n", "line 2, column 1: "),
        ("a: {b: c\n", "line 2, column 1: "),
        ("\ta: 1\n", "line 1, column 1: "),
        ("a: *nothing\n", "line 1, column 4: "),
        ("a: !!python/object:os.system x\n", "line 1, column 4: "),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: "),
        ("? [a]\n: b\n", "line 1, column 3: "),
    ],
)
def test_invalid_yaml_is_reported_with_line_and_column(tmp_path: Path, content: str, place: str) -> None:
    value, mistakes = reading(tmp_path, content)
    assert value is None
    assert [line for line in mistakes if not line.startswith(place)] == []
    assert len(mistakes) == 1


@pytest.mark.parametrize("content", ["apiKey: *sk-secret", "apiKey: !sk-secret x", "%sk-secret x\n---\n{}"])
def test_messages_do_not_repeat_values_of_an_invalid_file(tmp_path: Path, content: str) -> None:
    _, mistakes = reading(tmp_path, content)
    assert len(mistakes) == 1
    assert "sk-secret" not in mistakes[0]


@pytest.mark.parametrize("content", ["[1, 2]", "text", "12"])
def test_a_file_that_is_not_a_mapping_is_a_mistake(tmp_path: Path, content: str) -> None:
    assert reading(tmp_path, content) == (None, ["expected a mapping (key: value) at the top"])


@pytest.mark.parametrize("content", [b"a: \xff\xff", b"a: \x00", b"a: 2024-99-99", b"a: " + b"9" * 5000])
def test_bytes_and_values_that_are_not_yaml_are_one_mistake(tmp_path: Path, content: bytes) -> None:
    value, mistakes = reading(tmp_path, content)
    assert value is None
    assert len(mistakes) == 1


def test_a_missing_file_and_a_folder_are_mistakes(tmp_path: Path) -> None:
    mistakes = Mistakes()
    assert read(tmp_path / "none.yaml", mistakes) is None
    assert read(tmp_path, mistakes) is None
    assert mistakes == [f"{tmp_path}/none.yaml: no such file", f"{tmp_path}: cannot be read: Is a directory"]


@pytest.mark.parametrize("content", ["x: 1\na: &a [*a]\n", "x: 1\nb: &b {b: *b}\n", "x: 1\nb: &b {<<: *b}\n"])
def test_a_recursive_alias_is_a_mistake(tmp_path: Path, content: str) -> None:
    assert reading(tmp_path, content) == ({}, ["line 2: an alias refers to a value that contains it"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(alphabet="a:1 \n-[]{}&*!%#'\"|>?,\t$", max_size=60).map(str.encode))
def test_arbitrary_bytes_do_not_raise(tmp_path: Path, content: bytes) -> None:
    value, mistakes = reading(tmp_path, content)
    assert isinstance(value, dict) or mistakes


@pytest.mark.parametrize(
    "text", ["a: 1\n---\nb: 2", "[a]: 1", "{{a: 1}: 2}", "a: &x [*x]\nb: *y", "a: !!python/none x"]
)
def test_unusual_documents_are_rejected_or_read_as_by_pyyaml(text: str) -> None:
    mistakes = Mistakes()
    try:
        expected = yaml.safe_load(text)
    except yaml.YAMLError:
        expected = None
    assert parse(text.encode(), "x", mistakes) == expected
    assert bool(mistakes) is (expected is None)


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x", "a: &x [1]\nb: 2", "a: 1\nb: &x {c: 1}", "- &a\n"])
def test_anchors_are_rejected_in_foreign_content(text: str) -> None:
    mistakes = Mistakes()
    parse(text.encode(), "x", mistakes, aliases=False)
    assert "anchors and aliases (&, *) are not allowed here" in mistakes[0]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("a:\n\tb: 1", "line 2, column 1"),
        ("a: 1\n\tb: 2", "line 2, column 1"),
        ("a:\n  b: 1\n  \tc: 2", "line 3, column 3"),
        ("a: |\n\tx\n", "line 2, column 1"),
        ("\u00e4: {x: 1}\r\n\tb: 2", "line 2, column 1"),
    ],
)
def test_a_tab_in_the_indentation_is_reported(tmp_path: Path, content: str, place: str) -> None:
    assert reading(tmp_path, content) == (None, [f"{place}: a tab; indent with spaces"])


def test_a_tab_elsewhere_is_not_reported(tmp_path: Path) -> None:
    assert reading(tmp_path, "a:\tb") == ({"a": "b"}, [])
    _, (mistake,) = reading(tmp_path, "a: [\n\t1,\n\t}")
    assert "tab" not in mistake
