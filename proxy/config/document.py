"""Reading a YAML file as plain values, or reporting what is wrong with it, by line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from proxy.config.mistakes import Mistakes, quoted

# libyaml is several times faster than PyYAML's own parser, which matters at start-up.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# With aliases written out, a file may contain this many values for each one in its text, plus a margin.
MOST_REPEATED: Final = 10
SPARE_VALUES: Final = 10_000

# PyYAML names tokens as '<scalar>' or '}', and quotes values of the file as 'text'.
_QUOTED_VALUE: Final = re.compile(r" '[^'<]{2,}'")


def read(path: Path, mistakes: Mistakes) -> dict[Any, Any] | None:
    """The mapping in the file, ``{}`` for an empty one; ``None`` after a mistake that hides the rest.

    Duplicate keys are mistakes: YAML forbids them, and PyYAML silently takes the last.
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
    return parse(content, label, mistakes)


def parse(content: bytes, label: str, mistakes: Mistakes, *, aliases: bool = True) -> dict[Any, Any] | None:
    """As ``read``, for the content of a file; ``label`` names it in messages.

    ``aliases=False`` refuses anchors and aliases, for content from elsewhere: a few lines can expand to gigabytes.
    """
    try:
        if not aliases and (line := _first_anchor(content)):
            mistakes.add(label, f"line {line}", "anchors and aliases (&, *) are not allowed here")
            return {}
        value = _load(content, label, mistakes)
    except yaml.MarkedYAMLError as error:
        mistakes.add(label, _place(error), _problem(error, content))
        return None
    except yaml.YAMLError:
        mistakes.add(label, "", "is not UTF-8 text without control characters")
        return None
    except (ValueError, RecursionError):
        # Dates that do not exist, numbers of thousands of digits, brackets nested too deeply.
        mistakes.add(label, "", "contains a value that is not valid YAML")
        return None
    if value is None:
        return {}
    if not isinstance(value, dict):
        mistakes.add(label, "", "expected a mapping (key: value) at the top")
        return None
    return value


def _first_anchor(content: bytes) -> int:
    """Line of the first anchor or alias; 0: there is none."""
    for event in yaml.parse(content, Loader=_Loader):
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            return event.start_mark.line + 1 if event.start_mark is not None else 1
    return 0


def _load(content: bytes, label: str, mistakes: Mistakes) -> Any:
    """The document's value, checked as a tree of nodes before it is expanded."""
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if not _is_bounded(node, label, mistakes):
            return {}
        _refuse_duplicates(node, label, mistakes, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _is_bounded(node: yaml.Node, label: str, mistakes: Mistakes) -> bool:
    """Whether aliases expand to no more values than allowed."""
    sizes: dict[int, int] = {}
    try:
        size = _size(node, sizes)
    except _RecursiveAlias as error:
        mistakes.add(label, f"line {error.line}", "an alias refers to a value that contains it")
        return False
    most = SPARE_VALUES + MOST_REPEATED * len(sizes)
    if size > most:
        mistakes.add(label, "", f"aliases (*) expand {len(sizes)} values to more than {most}")
    return size <= most


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Number of values with aliases expanded. ``sizes`` caches it by node id; 0 marks nodes in progress."""
    known = sizes.get(id(node))
    if known == 0:
        raise _RecursiveAlias(node.start_mark.line + 1)
    if known is not None:
        return known
    sizes[id(node)] = 0
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_size(item, sizes) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        size += sum(_size(key, sizes) + _size(value, sizes) for key, value in node.value)
    sizes[id(node)] = size
    return size


class _RecursiveAlias(Exception):
    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def _refuse_duplicates(node: yaml.Node, label: str, mistakes: Mistakes, seen: set[int]) -> None:
    if id(node) in seen:  # an alias: reported once
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


def _problem(error: yaml.MarkedYAMLError, content: bytes) -> str:
    """PyYAML's message, without values of the file."""
    problem, mark = error.problem or "not valid YAML", error.problem_mark
    lines = content.split(b"\n")
    at_tab = mark is not None and mark.line < len(lines) and lines[mark.line][mark.column :][:1] == b"\t"
    if at_tab and ("tab character" in problem or "cannot start any token" in problem):
        return "a tab; indent with spaces"
    return _QUOTED_VALUE.sub("", problem)


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
