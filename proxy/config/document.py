"""A YAML file as plain values, or what is wrong with it, by line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from proxy.config.mistakes import Mistakes, quoted

# libyaml reads several times faster; start-up time counts.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# So many values may a file stand for, for each that it holds, and so many more.
MOST_REPEATED, SPARE_VALUES = 10, 10_000

_NO_KEY: Any = object()
_MERGE, _VALUE = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"

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
    return parse(content, label, mistakes)


def parse(content: bytes, label: str, mistakes: Mistakes, *, aliases: bool = True) -> dict[Any, Any] | None:
    """As ``read``, for bytes that are at hand already; ``label`` is their name in messages.

    Without ``aliases`` they are a mistake: a few lines of them can stand for gigabytes, and the bytes may be
    somebody else's.
    """
    try:
        value = _parse(content, label, mistakes, aliases)
    except yaml.MarkedYAMLError as error:
        mistakes.add(label, _place(error), _problem(error, content))
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


def _parse(content: bytes, label: str, mistakes: Mistakes, aliases: bool) -> Any:
    try:
        return _build(content)
    except _Unusual as unusual:
        if unusual.line and not aliases:
            mistakes.add(label, f"line {unusual.line}", "anchors and aliases (&, *) may not stand here")
            return {}
    return _slowly(content, label, mistakes)


def _slowly(content: bytes, label: str, mistakes: Mistakes) -> Any:
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


class _Unusual(Exception):
    """Not for ``_build``; at ``line`` stands an anchor or an alias (0: something else)."""

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line


def _build(content: bytes) -> Any:
    """The value of a document without tags, anchors, merges and duplicate keys; ``_Unusual`` for any other.

    Four times as fast as PyYAML's way over a tree of nodes, which is what keeps long lists of models loading
    within a second: plain scalars are resolved once for each spelling.
    """
    loader = _Loader(content)
    scalars: dict[str, Any] = {}
    stack: list[tuple[Any, Any]] = []  # the containers around this one, each with the key that waits in it
    top: Any = None
    within: Any = None
    made: Any = None
    key: Any = _NO_KEY
    documents = 0
    try:
        while True:
            event = loader.get_event()  # type: ignore[no-untyped-call]
            kind = type(event)
            if kind is yaml.ScalarEvent:
                value = _scalar(event, scalars, loader)
                made = None
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                if event.anchor or event.tag:
                    raise _Unusual(event.start_mark.line + 1 if event.anchor else 0)
                value = made = {} if kind is yaml.MappingStartEvent else []
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                within, key = stack.pop()
                continue
            elif kind is yaml.AliasEvent:
                raise _Unusual(event.start_mark.line + 1)
            elif kind is yaml.StreamEndEvent:
                return top
            else:  # the stream's and the documents' ends
                documents += kind is yaml.DocumentStartEvent
                if documents > 1:
                    raise _Unusual
                continue
            if within is None:
                top = value
            elif type(within) is list:
                within.append(value)
            elif key is _NO_KEY:
                if made is not None or value in within:
                    raise _Unusual
                key = value
                continue
            else:
                within[key] = value
                key = _NO_KEY
            if made is not None:
                stack.append((within, key))
                within, key = made, _NO_KEY
    finally:
        loader.dispose()


def _scalar(event: Any, known: dict[str, Any], loader: Any) -> Any:
    if event.anchor or event.tag:
        raise _Unusual(event.start_mark.line + 1 if event.anchor else 0)
    text = event.value
    if not event.implicit[0]:  # in quotes
        return text
    value = known.get(text, known)
    if value is known:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))
        if tag in (_MERGE, _VALUE):
            raise _Unusual
        value = known[text] = loader.construct_object(yaml.ScalarNode(tag, text, event.start_mark, event.end_mark))
    return value


def _is_bounded(node: yaml.Node, label: str, mistakes: Mistakes) -> bool:
    """Whether aliases repeat no more than a file may: a few lines of them can stand for gigabytes."""
    sizes: dict[int, int] = {}
    try:
        size = _size(node, sizes)
    except _Endless as endless:
        mistakes.add(label, f"line {endless.line}", "the alias stands within what it repeats")
        return False
    most = SPARE_VALUES + MOST_REPEATED * len(sizes)
    if size > most:
        mistakes.add(label, "", f"aliases (*) repeat too much: they make more than {most} values of {len(sizes)}")
    return size <= most


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values ``node`` stands for, aliases written out; ``sizes`` gains each node by its id, 0 while within."""
    known = sizes.get(id(node))
    if known == 0:
        raise _Endless(node.start_mark.line + 1)
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


class _Endless(Exception):
    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


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


def _problem(error: yaml.MarkedYAMLError, content: bytes) -> str:
    problem, mark = error.problem or "not valid YAML", error.problem_mark
    lines = content.split(b"\n")
    at_tab = mark is not None and mark.line < len(lines) and lines[mark.line][mark.column :][:1] == b"\t"
    if at_tab and ("tab character" in problem or "cannot start any token" in problem):
        return "a tab; indent with spaces"
    return _REPEATED.sub("", problem)


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
