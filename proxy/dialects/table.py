"""Which reader listens to which dialect."""

from __future__ import annotations

from proxy.dialects.base import OtherReader, Reader
from proxy.dialects.openai_chat_reader import ChatReader
from proxy.dialects.openai_responses_reader import ResponsesReader
from proxy.errors import GatewayError

OPAQUE = "opaque"  # relayed without being understood: no reader at all


def reader_for(dialect: str, *, choices: int = 1, swallow_usage: bool = False, wants_usage: bool = False) -> Reader:
    """A fresh reader. ``choices``: how many finish reasons end the stream; ``swallow_usage``: the client did not
    ask for the usage event, ``wants_usage``: it did."""
    if dialect in ("openai.chat", "openai.completions"):
        return ChatReader(choices=choices, swallow_usage=swallow_usage, wants_usage=wants_usage)
    if dialect == "openai.responses":
        return ResponsesReader()
    return OtherReader()


def encode_error(dialect: str, fault: GatewayError) -> bytes:
    """The in-band error of a dialect, for a stream that has no reader yet."""
    return reader_for(dialect).told(fault)
