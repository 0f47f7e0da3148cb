"""Faults of a broken provider: each turns a valid response into a broken one.

``number`` is the figure in the model's name (``demo-slow-start-3``), or the model's default. A fault may raise
``DemoRefusal``. None depends on the dialect.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from proxy.demo.answer import Cut, DemoAnswer, Frame, Part, Pause
from proxy.demo.refusal import DemoRefusal

Fault = Callable[[DemoAnswer, float], DemoAnswer]

FOREVER = 3600.0 * 24
FEW = 5  # frames that come through before a stall


def status(code: int, message: str, kind: str, name: str | None, param: str | None = None) -> Fault:
    """An error status instead of a response."""

    def refuse(answer: DemoAnswer, number: float) -> DemoAnswer:
        raise DemoRefusal(code, message, kind, code=name, param=param)

    return refuse


def rate_limited(answer: DemoAnswer, number: float) -> DemoAnswer:
    """429, to be tried again after ``number`` seconds."""
    message = f"Rate limit reached for the demo. Please try again in {number:g}s."
    raise DemoRefusal(429, message, "requests", code="rate_limit_exceeded", retry_after=number)


def cut(answer: DemoAnswer, number: float) -> DemoAnswer:
    """Close the connection in the middle of the body."""
    return replace(answer, frames=[*_first_half(answer), Cut()])


def truncated(answer: DemoAnswer, number: float) -> DemoAnswer:
    """End the body cleanly, but before the response is complete."""
    kept = [frame for frame in answer.frames if not _is(frame, "finish", "usage", "done")]
    return replace(answer, frames=kept)


def no_done(answer: DemoAnswer, number: float) -> DemoAnswer:
    """Send the finish reason, but not the last event."""
    return replace(answer, frames=[frame for frame in answer.frames if not _is(frame, "done")])


def stall(answer: DemoAnswer, number: float) -> DemoAnswer:
    """A few words, then silence."""
    few = min(FEW, len(answer.frames) // 2)
    return replace(answer, frames=[*answer.frames[:few], Pause(FOREVER)])


def slow_start(answer: DemoAnswer, number: float) -> DemoAnswer:
    """``number`` seconds before the first content; the head of a stream is sent at once."""
    if not answer.sse:
        return slow_headers(answer, number)
    return replace(answer, frames=[Pause(number), *answer.frames])


def slow_headers(answer: DemoAnswer, number: float) -> DemoAnswer:
    """``number`` seconds before the head."""
    return replace(answer, before=answer.before + number)


def error_first(answer: DemoAnswer, number: float) -> DemoAnswer:
    """200, and then an error instead of content."""
    return replace(answer, frames=[Frame(answer.error)])


def error_mid(answer: DemoAnswer, number: float) -> DemoAnswer:
    """An error after half of the response; a plain response is only the error."""
    return replace(answer, frames=[*(_first_half(answer) if answer.sse else []), Frame(answer.error)])


def garbage(answer: DemoAnswer, number: float) -> DemoAnswer:
    """Invalid JSON in the middle; the rest is valid."""
    middle = _first_half(answer)
    noise = Frame(b"data: {this is no JSON\n\n" if answer.sse else b"{this is no JSON")
    return replace(answer, frames=[*middle, noise, *answer.frames[len(middle) :]])


def comments(answer: DemoAnswer, number: float) -> DemoAnswer:
    """Keep-alives for ``number`` seconds before the response: comments in a stream, else blank lines."""
    sign = Frame(b": keep-alive\n\n" if answer.sse else b"\n")
    return replace(answer, frames=[*[sign, Pause(number / 3)] * 3, *answer.frames])


def empty(answer: DemoAnswer, number: float) -> DemoAnswer:
    """200 and no body."""
    return replace(answer, frames=[])


def html(answer: DemoAnswer, number: float) -> DemoAnswer:
    """200 with an HTML page, as from a load balancer."""
    page = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>It works!</body></html>\n"
    return replace(answer, content_type="text/html; charset=utf-8", frames=[Frame(page)], sse=False)


def _first_half(answer: DemoAnswer) -> list[Part]:
    return answer.frames[: (len(answer.frames) + 1) // 2]


def _is(frame: Part, *kinds: str) -> bool:
    return isinstance(frame, Frame) and frame.kind in kinds
