"""Segments of paths in the form in which they are compared."""

from __future__ import annotations

from urllib.parse import unquote


def plain_segments(path: str) -> list[str]:
    """The segments of a path, decoded; ``/`` and ``""`` have none, and a slash at the end makes an empty last one.

    Splitting comes first, so an encoded slash stays within its segment (RFC 3986, section 2.2).
    """
    if path in ("/", ""):
        return []
    segments = path.split("/")[1:]
    return [unquote(each) for each in segments] if "%" in path else segments


def depth_of(path: str, segments: int) -> int:
    """The index behind the first ``segments`` segments of a path."""
    index = 0
    for _ in range(segments):
        index = path.find("/", index + 1)
        if index < 0:
            return len(path)
    return index
