"""What clients do not get of an answer: nothing that an encoder leaves out of a source is lost in silence."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.answer_losses import CitationMembers, lost_of
from proxy.dialects.translation.calls import CallParts
from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.parts import CitationPart, Dropped, Finish, Start, TextDelta
from proxy.dialects.translation.tool_names import ToolNames
from tests.support.across.codecs import CLIENTS
from tests.support.across.translated import Client

TEXT = TextDelta("A text with a source.")
MEMBERS: dict[str, dict[str, Any]] = {
    "title": {"title": "MARK"},
    "quote": {"quote": "MARK"},
    "file_id": {"file_id": "MARK"},
    "place": {"start": 2, "end": 6},
}


def encoded(client: Client, citation: Citation, *, streamed: bool) -> str:
    parts = [Start("1", "m"), TEXT, CitationPart(citation), Finish("stop")]
    passed = [each for part in parts for each in CallParts(ToolNames(), "call_", sequential=True).pass_on(part)]
    if not streamed:
        return client.encode_answer(client.context, passed).decode()
    encoder = client.encoder(client.context)
    return b"".join([*map(encoder.encode, passed), encoder.finish()]).decode()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("url", ["https://a.example", ""])
@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_each_member_of_a_source_is_in_the_answer_or_told(
    client: Client, url: str, member: str, streamed: bool
) -> None:
    found = encoded(client, Citation(url, **MEMBERS[member]), streamed=streamed)
    carried = found != encoded(client, Citation(url), streamed=streamed)
    told = list(client.encoder.cites.lost(Citation(url, **MEMBERS[member])))
    assert told == ([] if carried else [f"citations.{member}"])


def test_what_is_lost_of_an_answer_is_what_no_dialect_has_and_members_of_sources() -> None:
    cites = CitationMembers(page=frozenset({"title"}))
    parts = [Dropped("audio"), TEXT, CitationPart(Citation("https://a.example", "A", "quoted", start=0))]
    assert list(lost_of(parts, cites)) == ["audio", "citations.quote", "citations.place"]
    assert list(lost_of([TEXT], cites)) == []
