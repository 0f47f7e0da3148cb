"""Rules of the house: unique class names, small files and classes, and a test file for each source.

Each rule has a list of exceptions, which may only become shorter: an exception that no longer is one fails, too.
``python -m tests.test_house`` prints the lists as they would be now.
"""

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

SHARED_CLASS_NAMES = """
"""

LONG_FILES = """
"""

LARGE_CLASSES = """
ServerTls
"""

WITHOUT_MIRROR = """
config/aliases.py
config/follow.py
config/left_out.py
config/provider_schema.py
config/proxies.py
config/reader.py
config/schema.py
"""


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
    yield from (node.name for _, node in classes() if methods(node) > MOST_METHODS)


def without_mirror() -> Iterator[str]:
    yield from (path for path in sources() if lines(path) > UNTESTED_LINES and not mirror(path).exists())


RULES: dict[str, tuple[Callable[[], Iterator[str]], str, str]] = {
    "SHARED_CLASS_NAMES": (shared_class_names, SHARED_CLASS_NAMES, "several classes have this name"),
    "LONG_FILES": (long_files, LONG_FILES, f"the file has more than {MOST_LINES} lines"),
    "LARGE_CLASSES": (large_classes, LARGE_CLASSES, f"the class has more than {MOST_METHODS} methods"),
    "WITHOUT_MIRROR": (without_mirror, WITHOUT_MIRROR, f"more than {UNTESTED_LINES} lines and no test file"),
}


@pytest.mark.parametrize("rule", RULES)
def test_no_source_breaks_a_rule_unless_listed(rule: str) -> None:
    broken_by, exceptions, meaning = RULES[rule]
    new = sorted({*broken_by()} - {*exceptions.split()})
    assert not new, f"{meaning}: mend it, or add it to {rule}"


@pytest.mark.parametrize("rule", RULES)
def test_each_listed_exception_is_still_one(rule: str) -> None:
    broken_by, exceptions, _ = RULES[rule]
    stale = sorted({*exceptions.split()} - {*broken_by()})
    assert not stale, f"delete it from {rule}"


if __name__ == "__main__":
    for name, (broken_by, _, _) in RULES.items():
        print(name, *sorted({*broken_by()}), "", sep="\n")
