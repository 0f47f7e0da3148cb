"""Requests with several members at once."""

from __future__ import annotations

from tests.support.schemas.combined import combined, marks
from tests.support.schemas.known import MESSAGES


def test_each_member_has_a_mark_of_its_own() -> None:
    chosen = [
        each
        for each in MESSAGES.variants
        if str(each)
        in ("system (member of MessageCreateParamsStreaming)", "metadata.user_id (member of MetadataParam)")
    ]
    request = combined(MESSAGES, [*chosen, chosen[0]])
    found = dict(marks(request, 3))
    assert request["messages"] == MESSAGES.base["messages"] * 3
    assert found == {"Markedvalue00000": "metadata.user_id", "Markedvalue00001": "system"}
    assert request["system"] == "Markedvalue00001"
