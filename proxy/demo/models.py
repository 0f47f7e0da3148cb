"""Table of the demo's models: name, type, description, behavior."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from proxy.demo import faults
from proxy.demo.faults import Fault

Speed = Literal["fast", "medium", "slow"]


class DemoModel(Struct, frozen=True, kw_only=True):
    """``rate``: words per second, 0: as fast as possible. ``every`` n-th request fails, starting with the first.

    ``number``: default figure of a fault. Such a model accepts another figure after its name, as in
    ``demo-slow-start-3``.

    The other fields are for ``auto``, as in models.yaml. ``context``: tokens. ``json``: supports JSON output. Without
    ``auto`` it is chosen only if no other model is left.
    """

    name: str
    description: str
    type: str = "chat"
    rate: float = 30.0
    sentences: int = 3
    fault: Fault | None = None
    number: float | None = None
    every: int = 1
    speed: Speed = "medium"
    tags: tuple[str, ...] = ()
    context: int = 0
    json: bool = False
    auto: bool = True


def _good(name: str, description: str, kind: str = "chat", **facts: Any) -> DemoModel:
    return DemoModel(name=name, description=description, type=kind, **facts)


def _chat(name: str, description: str, kind: str = "chat", **facts: Any) -> DemoModel:
    """A model for text, with JSON output."""
    return _good(name, description, kind, json=True, **facts)


def _broken(name: str, fault: Fault, description: str, number: float | None = None, every: int = 1) -> DemoModel:
    return DemoModel(name=name, description=description, fault=fault, number=number, every=every, auto=False)


_internal = faults.status(500, "The demo had an error on purpose.", "server_error", "server_error")
_unavailable = faults.status(503, "The demo is overloaded on purpose.", "server_error", "service_unavailable")
_wrong_key = faults.status(401, "Incorrect API key: demo****.", "invalid_request_error", "invalid_api_key")
_unknown = faults.status(404, "The model does not exist.", "invalid_request_error", "model_not_found", "model")
_too_long = faults.status(
    400,
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 10000 tokens.",
    "invalid_request_error",
    "context_length_exceeded",
    "messages",
)

MODELS: tuple[DemoModel, ...] = (
    _chat(
        "demo",
        "30 words per second; calls a tool that is offered if the prompt asks for it",
        tags=("general", "code"),
        context=32_000,
    ),
    _chat("demo-fast", "200 words per second", rate=200.0, speed="fast", tags=("general", "code"), context=16_000),
    # demo-slow and demo-long take 11 and 49 s for a plain answer: too long for a client that did not name them.
    _chat("demo-slow", "4 words per second", rate=4.0, speed="slow", tags=("general",), context=32_000, auto=False),
    _chat("demo-instant", "no waiting between words", rate=0.0, speed="fast", tags=("general",), context=128_000),
    _chat(
        "demo-long", "a long answer at 30 words per second", sentences=120, tags=("long",), context=200_000, auto=False
    ),
    _chat(
        "demo-reasoning",
        "sends reasoning (reasoning_content) before its answer",
        "reasoning",
        tags=("code", "math"),
        context=128_000,
    ),
    _good("demo-embedding", "vectors that depend on the text alone", "embedding"),
    _good("demo-moderation", "flags text that mentions violence", "moderation"),
    _good("demo-image", "an image of one color", "image"),
    _good("demo-speech", "a hum as long as the text", "audio"),
    _good("demo-transcribe", "answers with the size of the uploaded file", "audio"),
    _broken("demo-429", faults.rate_limited, "429 with Retry-After: 2; demo-429-N: N seconds", 2.0),
    _broken("demo-500", _internal, "500"),
    _broken("demo-503", _unavailable, "503"),
    _broken("demo-401", _wrong_key, "401, as for a wrong key"),
    _broken("demo-404", _unknown, "404, as for an unknown model"),
    _broken("demo-400-context", _too_long, "400, the context is too long"),
    _broken("demo-flaky", _internal, "500 for every second request, from the first one on", every=2),
    _broken("demo-cut", faults.cut, "the connection closes in the middle of the answer"),
    _broken("demo-truncated", faults.truncated, "ends cleanly, but without finish_reason and [DONE]"),
    _broken("demo-no-done", faults.no_done, "finish_reason, but no [DONE]"),
    _broken("demo-stall", faults.stall, "a few words and then silence"),
    _broken("demo-slow-start", faults.slow_start, "content after 20 s; demo-slow-start-N: N seconds", 20.0),
    _broken("demo-slow-headers", faults.slow_headers, "headers after 20 s; demo-slow-headers-N", 20.0),
    _broken("demo-error-first", faults.error_first, "200 and then an error instead of content"),
    _broken("demo-error-mid", faults.error_mid, "an error in the middle of the stream"),
    _broken("demo-garbage", faults.garbage, "one event that is not JSON"),
    _broken("demo-comments", faults.comments, "3 s of comments before content; demo-comments-N", 3.0),
    _broken("demo-empty", faults.empty, "200 with an empty body"),
    _broken("demo-html", faults.html, "200 with an HTML page"),
)

_BY_NAME = {model.name: model for model in MODELS}


class ChosenModel(NamedTuple):
    """A model, and the figure for its fault."""

    model: DemoModel
    number: float


def find(name: str) -> ChosenModel | None:
    """The model with that name, and the figure after the name if the model accepts one."""
    if model := _BY_NAME.get(name):
        return ChosenModel(model, model.number or 0.0)
    numbered = re.fullmatch(r"(.+)-(\d{1,4}(?:\.\d{1,3})?)", name)
    model = _BY_NAME.get(numbered[1]) if numbered else None
    if numbered is None or model is None or model.number is None:
        return None
    return ChosenModel(model, float(numbered[2]))
