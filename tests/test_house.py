"""Rules of the house: unique class names, small files and classes, and a test file for each source."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "proxy"

MOST_LINES = 400  # of a file
MOST_METHODS = 20  # of a class
UNTESTED_LINES = 80  # a source file with more has a test file of its own

# Classes that implement the callbacks of a library, which decides how many they are.
CALLBACKS = {"ServerTls"}


@cache
def sources() -> dict[str, str]:
    """Text of each source file, by its path within the package."""
    return {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def classes() -> list[tuple[str, ast.ClassDef]]:
    """Each class with the path of its file."""
    return [
        (path, node)
        for path, text in sources().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
    ]


def lines(path: str) -> int:
    return len(sources()[path].splitlines())


def methods(node: ast.ClassDef) -> int:
    return sum(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in node.body)


def mirror(path: str) -> Path:
    """``proxy/wire/usage.py`` is tested by ``tests/wire/test_usage.py``, and ``__main__.py`` by ``test_main.py``."""
    return ROOT / "tests" / Path(path).with_name(f"test_{Path(path).stem.strip('_')}.py")


def shared_class_names() -> Iterator[str]:
    counted = Counter(node.name for _, node in classes())
    yield from (name for name, count in counted.items() if count > 1)


def long_files() -> Iterator[str]:
    yield from (path for path in sources() if lines(path) > MOST_LINES)


def large_classes() -> Iterator[str]:
    large = (node.name for _, node in classes() if methods(node) > MOST_METHODS)
    yield from (name for name in large if name not in CALLBACKS)


def without_mirror() -> Iterator[str]:
    yield from (path for path in sources() if lines(path) > UNTESTED_LINES and not mirror(path).exists())


RULES: dict[str, Callable[[], Iterator[str]]] = {
    "a class name is unique": shared_class_names,
    f"a file has at most {MOST_LINES} lines": long_files,
    f"a class has at most {MOST_METHODS} methods": large_classes,
    f"a source of more than {UNTESTED_LINES} lines has a test file": without_mirror,
}


@pytest.mark.parametrize("rule", RULES)
def test_every_source_follows_the_rules(rule: str) -> None:
    assert sorted(RULES[rule]()) == []


def test_each_exempt_class_needs_its_exemption() -> None:
    assert {node.name for _, node in classes() if methods(node) > MOST_METHODS} == CALLBACKS


def test_no_package_hides_a_module_of_the_same_name() -> None:
    files = [path for folder in (PACKAGE, ROOT / "tests") for path in folder.rglob("*.py")]
    assert [path for path in files if (path.with_suffix("") / "__init__.py").exists()] == []
