"""The nodes of ``deploy/n8n`` send what the gateway reads: names of members and headers, and the words of the cache."""

from __future__ import annotations

import re

from proxy.cache.directives import HEADER, WORDS
from proxy.responder import _METADATA
from proxy.wire import attribution, criteria
from tests.n8n.package import SOURCE

SHARED = SOURCE / "nodes" / "shared"
REQUEST = (SHARED / "request.ts").read_text()


def section(text: str, begin: str) -> str:
    """What follows ``begin``, up to the end of its function or parameter."""
    return text[text.index(begin) :].partition("\n}")[0]


def test_filters_are_the_criteria_of_the_gateway() -> None:
    members = re.findall(r"members\.(\w+) =", section(REQUEST, "function criteriaOf"))
    assert set(members) == criteria.FIELDS


def test_headers_are_those_that_the_gateway_reads() -> None:
    headers = set(re.findall(r"headers\['([\w-]+)'\]", section(REQUEST, "function headersOf")))
    assert headers == {*map(str, (HEADER, _METADATA, attribution.LABELS, attribution.RUN, attribution.BUDGET))}


def test_the_cache_has_the_words_of_the_gateway() -> None:
    option = (SHARED / "properties.ts").read_text().partition("name: 'cache',")[2].partition("default:")[0]
    assert set(re.findall(r"value: '(\w+)'", option)) == {"default", *WORDS}
