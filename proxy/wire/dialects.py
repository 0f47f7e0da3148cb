"""Which tap listens to which dialect."""

from __future__ import annotations

from proxy.errors import GatewayError
from proxy.wire.openai_chat import ChatTap
from proxy.wire.openai_responses import ResponsesTap
from proxy.wire.tap import PlainTap, Tap

OPAQUE = "opaque"  # relayed without being understood: no tap at all


def tap_for(dialect: str, *, choices: int = 1, swallow_usage: bool = False, wants_usage: bool = False) -> Tap:
    """A fresh tap. ``choices``: how many finish reasons end the stream; ``swallow_usage``: the client did not
    ask for the usage event, ``wants_usage``: it did."""
    if dialect in ("openai.chat", "openai.completions"):
        return ChatTap(choices=choices, swallow_usage=swallow_usage, wants_usage=wants_usage)
    if dialect == "openai.responses":
        return ResponsesTap()
    return PlainTap()


def encode_error(dialect: str, fault: GatewayError) -> bytes:
    """The in-band error of a dialect, for a stream that has no tap yet."""
    return tap_for(dialect).told(fault)
