"""Answers in neutral parts, as a provider's decoder and ``CallParts`` make them, for clients with one open block."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from proxy.dialects.translation.conversation import Blob, Citation
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    Finish,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage, UsageDetails

Run = list[AnswerPart]

words = st.text(max_size=5)
counts = st.integers(0, 10**6)
usages = st.builds(
    Usage, counts, st.none() | counts, counts, st.none() | counts, st.builds(UsageDetails, cache_write=counts)
) | st.builds(Usage, counts, counts, counts)
blobs = st.builds(Blob, st.text("ab_", min_size=1, max_size=3), st.sampled_from(("signature", "redacted", "encrypted")))
citations = st.builds(Citation, url=st.just("https://a.example"), title=words, quote=words) | st.builds(
    Citation, quote=words, file_id=st.just("file_1")
)
finishes = st.none() | st.builds(
    Finish,
    st.sampled_from(("stop", "length", "tool_calls", "refusal", "content_filter", "pause", "context")),
    detail=words,
)


def _texts(first: list[str]) -> st.SearchStrategy[Run]:
    more = st.builds(TextDelta, words) | st.builds(CitationPart, citations) | st.just(LogprobsPart([{"token": "a"}]))
    begin: Run = [TextDelta(text) for text in first]
    return st.lists(more, max_size=3).map(lambda rest: begin + rest)


def _thoughts(texts: list[str]) -> st.SearchStrategy[Run]:
    begin: Run = [ReasoningDelta(text) for text in texts]
    return (st.none() | blobs).map(lambda blob: begin + ([ReasoningBlob(blob)] if blob else []))


def _call(arguments: Any, cuts: list[int], blob: Blob | None) -> Run:
    text = json.dumps(arguments, ensure_ascii=False) if arguments else ""
    at = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces: Run = [CallDelta(0, text[begin:end]) for begin, end in pairwise(at)]
    return [CallStart(0, "call", "f", blob=blob), *pieces, CallEnd(0)]


calls = st.builds(
    _call,
    st.dictionaries(words, st.integers(0, 9) | words | st.none(), max_size=2),
    st.lists(st.integers(0, 30), max_size=3),
    st.none() | blobs.filter(lambda blob: blob.kind == "signature"),
)
runs: st.SearchStrategy[Run] = st.one_of(
    st.lists(words.filter(bool), min_size=1, max_size=3).flatmap(_texts),
    st.lists(words.filter(bool), min_size=1, max_size=3).flatmap(_thoughts),
    st.builds(lambda text: [RefusalDelta(text)], words.filter(bool)),
    st.builds(lambda blob: [ReasoningBlob(blob)], blobs),
    st.builds(lambda usage: [UsagePart(usage)], usages),
    calls,
)
# Runs of one kind in a row would be one block, so that each ends.
answers: st.SearchStrategy[Run] = st.builds(
    lambda found, finish: (
        [Start("provider_id", "model-x"), *(part for run in found for part in (*run, BlockEnd()))]
        + ([finish] if finish else [])
    ),
    st.lists(runs, max_size=5),
    finishes,
)
