"""Whole JSON answers that a dialect's own decoder does not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxy.dialects import provider_error
from proxy.dialects.base import AnswerInfo
from proxy.dialects.provider_error import ProviderError
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer
from proxy.wire import document


def read(
    body: bytes,
    find_usage: Callable[[Any], Usage | None],
    find_error: Callable[[Any], ProviderError | None] = provider_error.find,
    named: str = "model",
) -> AnswerInfo:
    """Read an answer that is empty, an error, lenient JSON, or of an unknown shape; the client may understand it.

    Of a list of chunks the last one counts. ``named`` is the member with the model's name.
    Raises BrokenAnswer (empty or not JSON) and ErrorInStream (an error instead).
    """
    if not body.strip():
        raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
    try:
        answer, strict = document.read(body)
    except ValueError:
        raise BrokenAnswer("The provider's answer is not JSON.") from None
    error = find_error(answer)
    if error is not None:
        raise provider_error.fault_of(error)
    last = answer[-1] if isinstance(answer, list) and answer else answer
    model = last.get(named) if isinstance(last, dict) else None
    return AnswerInfo(model if isinstance(model, str) else "", find_usage(last), strict)
