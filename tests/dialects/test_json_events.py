from __future__ import annotations

import pytest

from proxy.dialects.base import EventKind
from proxy.dialects.json_events import is_done, without_data
from proxy.wire.sse import Event


@pytest.mark.parametrize(
    ("event", "kind"),
    [(Event(), EventKind.COMMENT), (Event(data=b""), EventKind.NO_DATA), (Event(event=b"x"), EventKind.NO_DATA), (Event(id=b"1"), EventKind.NO_DATA),
     (Event(id=b""), EventKind.COMMENT), (Event(retry=0), EventKind.NO_DATA)],
)  # fmt: skip
def test_an_event_without_data_is_a_comment_or_has_no_data(event: Event, kind: EventKind) -> None:
    assert without_data(event) is kind


@pytest.mark.parametrize("data", [b"[DONE]", b"[DONE] ", b"[DONE]\n"])
def test_done_may_have_blanks_behind_it(data: bytes) -> None:
    assert is_done(data)


@pytest.mark.parametrize("data", [b"", b"[done]", b" [DONE]", b"[DONE]]", b'"[DONE]"', b"[DONE] x"])
def test_nothing_else_is_done(data: bytes) -> None:
    assert not is_done(data)
