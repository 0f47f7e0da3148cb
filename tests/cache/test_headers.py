"""What the headers of a request mean for the cache."""

from __future__ import annotations

import pytest

from proxy.cache.directives import REFRESH, USUAL
from proxy.cache.headers import HeaderReader
from proxy.errors import ClientFault

USUAL_LINES = ((b"Host", b"h"), (b"Accept", b"application/json"), (b"Authorization", b"Bearer k"))


def test_usual_headers_say_nothing_and_are_read_once() -> None:
    reader = HeaderReader(frozenset())
    found = reader.read(USUAL_LINES)
    assert (found.directives, found.tags, list(found.lines)) == (USUAL, (), [])
    assert reader.read((*USUAL_LINES, (b"traceparent", b"2"))) is found


def test_what_is_said_is_found_in_any_spelling() -> None:
    reader = HeaderReader(frozenset([b"x-custom"]))
    more = ((b"CACHE-CONTROL", b"no-cache"), (b"X-Router-Cache-Tags", b"b,a"), (b"X-Custom", b"1"))
    found = reader.read(USUAL_LINES + more)
    assert (found.directives, found.tags, list(found.lines)) == (REFRESH, ("a", "b"), [b"x-custom", b"1"])


def test_a_wrong_header_is_refused_each_time() -> None:
    reader = HeaderReader(frozenset())
    for _ in range(2):
        with pytest.raises(ClientFault):
            reader.read((*USUAL_LINES, (b"x-router-cache", b"yes")))


def test_large_headers_are_not_remembered() -> None:
    reader, line = HeaderReader(frozenset()), (b"x-router-tags", b"x" * 2000)
    assert reader.read((line,)) is not reader.read((line,))
