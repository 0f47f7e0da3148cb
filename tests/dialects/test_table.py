from __future__ import annotations

import pytest

from proxy.dialects.anthropic.reader import MessagesReader
from proxy.dialects.gemini.reader import GeminiReader
from proxy.dialects.openai.chat_reader import ChatReader
from proxy.dialects.openai.other_reader import OtherReader
from proxy.dialects.openai.responses_reader import ResponsesReader
from proxy.dialects.table import DIALECTS
from proxy.errors import StreamTruncated


@pytest.mark.parametrize(
    ("name", "reader", "error", "open_ended"),
    [
        ("openai.chat", ChatReader, b"data: {", False),
        ("openai.completions", ChatReader, b"data: {", False),
        ("openai.responses", ResponsesReader, b"event: response.failed\n", False),
        ("openai.embeddings", OtherReader, b"data: {", True),
        ("openai.count", OtherReader, b"data: {", True),
        ("openai.other", OtherReader, b"data: {", True),
        ("anthropic.messages", MessagesReader, b"event: error\n", False),
        ("anthropic.count", MessagesReader, b"event: error\n", False),
        ("anthropic.other", MessagesReader, b"event: error\n", False),
        ("gemini.generate", GeminiReader, b"data: {", False),
        ("gemini.embed", GeminiReader, b"data: {", False),
        ("gemini.batch_embed", GeminiReader, b"data: {", False),
        ("gemini.count", GeminiReader, b"data: {", False),
        ("gemini.other", GeminiReader, b"data: {", False),
        ("opaque", OtherReader, b"data: {", True),
    ],
)
def test_each_dialect_has_its_reader_and_its_writer(name: str, reader: type, error: bytes, open_ended: bool) -> None:
    dialect = DIALECTS[name]
    assert dialect.name == name
    assert dialect.reader is reader
    assert dialect.reader().open_ended is open_ended
    assert dialect.writer.error_event(StreamTruncated("Cut."), -1).startswith(error)
