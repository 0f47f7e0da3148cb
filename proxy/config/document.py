"""A YAML file as plain values, or what is wrong with it, by line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from proxy.config.mistakes import Mistakes, quoted

# libyaml reads several times faster; start-up time counts.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# PyYAML names tokens as '<scalar>' or '}', and repeats what stands in the file as 'text'.
_REPEATED = re.compile(r" '[^'<]{2,}'")


def read(path: Path, mistakes: Mistakes) -> dict[Any, Any] | None:
    """The mapping in the file; an empty file is an empty one. ``None`` after a mistake that hides the rest.

    A key that stands twice in one mapping is a mistake as well: YAML forbids it, and PyYAML takes the last.
    """
    label = str(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        mistakes.add(label, "", "no such file")
        return None
    except OSError as error:
        mistakes.add(label, "", f"cannot be read: {error.strerror}")
        return None
    try:
        value = _parse(content, label, mistakes)
    except yaml.MarkedYAMLError as error:
        mistakes.add(label, _place(error), _REPEATED.sub("", error.problem or "not valid YAML"))
        return None
    except yaml.YAMLError:
        mistakes.add(label, "", "is not UTF-8 text without control characters")
        return None
    except (ValueError, RecursionError):
        # Dates that do not exist, numbers of thousands of digits, brackets nested without end.
        mistakes.add(label, "", "holds a value that is not valid YAML")
        return None
    if value is None:
        return {}
    if not isinstance(value, dict):
        mistakes.add(label, "", "expected a mapping (key: value) at the top")
        return None
    return value


def _parse(content: bytes, label: str, mistakes: Mistakes) -> Any:
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_duplicates(node, label, mistakes, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_duplicates(node: yaml.Node, label: str, mistakes: Mistakes, seen: set[int]) -> None:
    if id(node) in seen:  # an alias: told once
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item, label, mistakes, seen)
    if isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            _refuse_duplicates(value, label, mistakes, seen)
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            before = first.get((key.tag, key.value))
            if before is None:
                first[key.tag, key.value] = line
            else:
                text = f"duplicate key {quoted(key.value)} (first on line {before})"
                mistakes.add(label, f"line {line}", text)


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
