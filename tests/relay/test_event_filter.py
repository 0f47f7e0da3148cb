from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from proxy.dialects.base import EventKind
from proxy.errors import BrokenAnswer, ErrorInStream
from proxy.exchange import Exchange
from proxy.relay.event_filter import HELD_EVENTS, EventFilter, EventHook
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import ENDPOINTS
from proxy.server.reply import Reply
from tests.support.pump import Outlet

CONTENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"key sk-1 is over its quota"}}\n\n'


class Owner:
    """The pump of the stream; it notes what the filter calls."""

    def __init__(self, hook: EventHook | None = None, epilogue: Callable[[], bytes] = lambda: b"") -> None:
        self.calls: list[object] = []
        self.exchange = Exchange(ENDPOINTS[0], cast(Catalog, None), "id", 0.0)
        reply = Reply(Outlet(), http10=False, head_only=False, keep_alive=True)
        reader = ENDPOINTS[0].dialect.reader(1, False, False)
        self.filter = EventFilter(self, reply, self.exchange, reader, hook, _redact, epilogue)

    def commit(self) -> bytes:
        raise AssertionError("the relay commits")

    def delivered(self) -> None:
        raise AssertionError("the relay delivers")

    def concluding(self) -> None:
        self.calls.append("concluding")

    def dropped(self, kind: EventKind) -> None:
        self.calls.append(kind)


def _redact(block: bytes) -> bytes:
    return block.replace(b"sk-1", b"...")


def forwarded(owner: Owner, *blocks: bytes) -> list[bytes]:
    return [owner.filter.forward(block) for block in blocks]


def test_events_are_forwarded_as_they_are_and_content_makes_the_stream_meaningful() -> None:
    owner = Owner()
    assert forwarded(owner, ROLE) == [ROLE]
    assert not owner.filter.meaningful
    assert forwarded(owner, CONTENT, DONE) == [CONTENT, DONE]
    assert (owner.filter.meaningful, owner.filter.events, owner.calls) == (True, 3, ["concluding"])


def test_so_many_bytes_without_content_count_as_content() -> None:
    owner = Owner()
    for _ in range(HELD_EVENTS // len(ROLE) + 1):
        owner.filter.forward(ROLE)
    assert owner.filter.meaningful


def test_events_that_no_client_can_read_are_left_out_and_counted() -> None:
    owner = Owner()
    assert forwarded(owner, CONTENT, b"event: x\n\n", b"data: {\n\n") == [CONTENT, b"", b""]
    assert owner.calls == [EventKind.NO_DATA, EventKind.MALFORMED]
    assert owner.exchange.lost_events == 1


def test_before_content_an_unreadable_event_an_error_or_the_end_is_a_fault() -> None:
    with pytest.raises(BrokenAnswer):
        Owner().filter.forward(b"data: {\n\n")
    with pytest.raises(ErrorInStream):
        Owner().filter.forward(ERROR)
    with pytest.raises(BrokenAnswer):
        Owner().filter.forward(DONE)


def test_an_error_is_forwarded_without_credentials() -> None:
    assert forwarded(Owner(), CONTENT, ERROR)[1] == _redact(ERROR)


def test_the_epilogue_stands_before_the_terminal_event_and_once() -> None:
    owner = Owner(epilogue=lambda: b": who\n\n")
    assert forwarded(owner, CONTENT, DONE)[1] == b": who\n\n" + DONE
    assert owner.filter.epilogue() == b""


def test_a_stream_that_ends_with_an_error_has_an_epilogue_only_if_events_were_lost() -> None:
    owner = Owner(epilogue=lambda: b": who\n\n")
    assert owner.filter.error_epilogue() == b""
    owner.exchange.lost_events = 1
    assert owner.filter.error_epilogue() == b": who\n\n"


def test_a_hook_sees_each_event_and_ends_the_fast_path() -> None:
    owner = Owner(hook=lambda block, failed: block.upper())
    assert not owner.filter.transparent
    assert forwarded(owner, CONTENT, b": note\n\n") == [CONTENT.upper(), b": note\n\n"]


def test_a_lf_split_from_its_cr_belongs_to_the_block_before() -> None:
    owner = Owner()
    first = CONTENT.rstrip() + b"\r\n\r"
    assert forwarded(owner, first) == [first]
    assert not owner.filter.transparent
    assert forwarded(owner, b"\n" + CONTENT) == [b"\n" + CONTENT]
    assert owner.filter.transparent


def test_the_last_event_is_completed_if_it_is_whole() -> None:
    assert Owner().filter.forward_last(CONTENT.rstrip()) == CONTENT
    owner = Owner()
    assert owner.filter.forward_last(CONTENT[:20]) == b""
    assert owner.filter.cut
