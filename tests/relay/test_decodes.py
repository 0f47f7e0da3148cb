"""How often an event is decoded on its way: at most once by ``plain``, and once in full."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from proxy.dialects.anthropic.reader import MessagesReader
from proxy.dialects.openai.chat_reader import ChatReader
from proxy.dialects.openai.responses_reader import ResponsesReader
from proxy.wire import document
from tests.support import messages
from tests.support.answers import DONE, chat_events, sse
from tests.support.pump import Pump


def chunk(delta: dict[str, Any], **members: Any) -> bytes:
    return sse({"choices": [{"index": 0, "delta": delta}], **members})


COUNTS = {"prompt_tokens": 9, "completion_tokens": 2}
CHAT = [
    *chat_events("Hello", " world")[:-1],
    chunk({"content": "odd"}, x_unusual=[1]).replace(b"data: ", b"data:"),
    chunk({"content": "!"}, usage={"completion_tokens": 2}),
    sse({"choices": [], "usage": COUNTS}),
    b": a comment\n\n",
    DONE,
]
RESPONSES = [
    f"event: {kind}\n".encode() + sse({"type": kind, "sequence_number": number, "response": {"model": "m"}})
    for number, kind in enumerate(
        ["response.created", "response.output_text.delta", "response.output_text.done", "response.completed"]
    )
]
MESSAGES = [
    messages.START,
    messages.begin(type="text", text=""),
    messages.HELLO,
    messages.event("ping"),
    messages.HELLO,
    messages.HELLO.replace(b"data: ", b"data:"),
    messages.stop("end_turn", output_tokens=2),
    messages.STOP,
]


class Decodes:
    """Counts calls by block for ``plain``, and all full decodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plain: Counter[bytes] = Counter()
        self.full = 0
        for reader in (ChatReader, ResponsesReader, MessagesReader):
            monkeypatch.setattr(reader, "plain", self._counted(reader.plain))
        monkeypatch.setattr(document, "_decode", self._counted_decode(document._decode))
        monkeypatch.setattr(document, "_loads", self._counted_decode(document._loads))

    def _counted(self, plain: Any) -> Any:
        def counted(reader: Any, block: bytes) -> Any:
            self.plain[block] += 1
            return plain(reader, block)

        return counted

    def _counted_decode(self, decode: Any) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            self.full += 1
            return decode(*args, **options)

        return counted


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize(
    ("dialect", "events"), [("openai.chat", CHAT), ("openai.responses", RESPONSES), ("anthropic.messages", MESSAGES)]
)
def test_an_event_is_decoded_once_by_plain_and_once_in_full_at_most(
    monkeypatch: pytest.MonkeyPatch, dialect: str, events: list[bytes], framed: bool
) -> None:
    decodes, pump = Decodes(monkeypatch), Pump(dialect, framed=framed)
    for event in events:
        decodes.full = 0
        pump.feed(event)
        assert decodes.plain[event] <= 1
        assert decodes.full <= 1
    assert pump.end().body == b"".join(events)


def test_plain_events_are_not_decoded_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    decodes, pump = Decodes(monkeypatch), Pump(framed=True)
    pump.feed(*CHAT[:2])
    decodes.full = 0
    pump.feed(*[chunk({"content": str(number)}) for number in range(100)])
    assert decodes.full == 0
    assert decodes.plain.total() == 100


def test_each_event_of_several_in_one_read_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decodes, pump = Decodes(monkeypatch), Pump()
    pump.feed(*CHAT[:2])
    decodes.full = 0
    pump.feed(b"".join(CHAT[2:]))
    assert all(decodes.plain[event] == 1 for event in CHAT[2:])
    assert decodes.full <= len(CHAT[2:])
