"""A whole JSON answer: whether it is one, and what it says of model and usage."""

from __future__ import annotations

import msgspec

from proxy.dialects import openai_error, openai_usage
from proxy.dialects.openai_usage import Usage, WireUsage
from proxy.errors import BrokenAnswer
from proxy.wire import document
from proxy.wire.document import is_utf8

_NULL = msgspec.Raw(b"null")


class _Answer(msgspec.Struct, gc=False):
    model: str | None = None
    usage: WireUsage | None = None
    error: msgspec.Raw = _NULL


_answer = msgspec.json.Decoder(_Answer).decode


class AnswerInfo(msgspec.Struct, frozen=True, gc=False):
    """``model`` as the provider reported it, ``""`` if it did not. ``strict``: every JSON parser reads the answer."""

    model: str = ""
    usage: Usage | None = None
    strict: bool = True


def check(body: bytes) -> AnswerInfo:
    """Read a 2xx answer. Raises BrokenAnswer (empty, JSON to no parser) and ErrorInStream (an error in disguise)."""
    if not (body.isascii() or is_utf8(body)):
        return _unusual(body)
    try:
        answer = _answer(body)
    except (msgspec.DecodeError, RecursionError):
        return _unusual(body)
    if answer.error is not _NULL and answer.error != _NULL:
        return _unusual(body)
    usage_ = answer.usage
    return AnswerInfo(answer.model or "", None if usage_ is None else usage_.usage())


def _unusual(body: bytes) -> AnswerInfo:
    """Nothing, an error, or JSON that we would not write, or of a shape that we do not know: the client may."""
    if not body.strip():
        raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
    try:
        answer, strict = document.read(body)
    except ValueError:
        raise BrokenAnswer("The provider's answer is not JSON.") from None
    error = openai_error.find(answer)
    if error is not None:
        raise openai_error.fault_of(error)
    model = answer.get("model") if isinstance(answer, dict) else None
    return AnswerInfo(model if isinstance(model, str) else "", openai_usage.find(answer), strict)
