"""What requests say about the cache."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from proxy.cache.directives import OFF, ONLY, REFRESH, USUAL, Directives, directives_of, tags_of
from proxy.errors import ClientFault


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, USUAL),
        ({"x-router-cache": "off"}, OFF),
        ({"X-Router-Cache": " Refresh "}, REFRESH),
        ({"x-router-cache": "only"}, ONLY),
        ({"x-router-cache": ""}, USUAL),
        ({"cache-control": "no-cache"}, REFRESH),
        ({"cache-control": "no-store"}, OFF),
        ({"cache-control": "no-cache, no-store"}, OFF),
        ({"cache-control": "max-age=60"}, Directives(max_age=60)),
        ({"cache-control": 'max-age="0"'}, Directives(max_age=0)),
        ({"cache-control": "max-age=soon"}, USUAL),
        ({"cache-control": "only-if-cached"}, ONLY),
        ({"cache-control": "only-if-cached, max-age=5"}, Directives(only=True, max_age=5)),
        ({"cache-control": "no-cache, only-if-cached"}, ONLY),
        ({"cache-control": "max-stale, no-transform"}, USUAL),
        ({"cache-control": "no-cache", "x-router-cache": "only"}, ONLY),
        ({"cache-control": "no-cache", "x-router-cache": ""}, REFRESH),
    ],
)
def test_directives(headers: dict[str, str], expected: Directives) -> None:
    assert directives_of(CIMultiDict(headers)) == expected


def test_lines_of_one_header_are_one_list() -> None:
    headers = CIMultiDict([("Cache-Control", "max-age=5"), ("cache-control", "no-store")])
    assert directives_of(headers) == OFF
    tags = CIMultiDict([("x-router-cache-tags", "b"), ("X-Router-Cache-Tags", "a, c")])
    assert tags_of(tags) == ("a", "b", "c")
    with pytest.raises(ClientFault):
        directives_of(CIMultiDict([("x-router-cache", "refresh"), ("x-router-cache", "off")]))


def test_another_word_is_refused() -> None:
    with pytest.raises(ClientFault) as refused:
        directives_of(CIMultiDict({"x-router-cache": "yes"}))
    assert refused.value.message == "'x-router-cache' must be one of off, refresh, only."
    assert refused.value.param == "x-router-cache"


def test_tags() -> None:
    assert tags_of(CIMultiDict()) == ()
    assert tags_of(CIMultiDict({"x-router-cache-tags": "b, a,,a"})) == ("a", "b")


@pytest.mark.parametrize("text", ["a b", "x" * 101, ",".join(map(str, range(17))), "é"])
def test_wrong_tags_are_refused(text: str) -> None:
    with pytest.raises(ClientFault):
        tags_of(CIMultiDict({"x-router-cache-tags": text}))
