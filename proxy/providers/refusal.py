"""The meaning of a provider's error: from its status, headers and body.

Only the provider's own sentences are read (the members in ``_MESSAGE_MEMBERS``). Validation errors quote the client's
prompt, and a prompt may contain any wording.

``wordings.py`` has what they say, each with its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Final, Literal

from msgspec import Struct

from proxy.dialects import provider_error
from proxy.dialects.provider_error import ProviderError
from proxy.errors import LoopDetected
from proxy.providers import wordings
from proxy.wire import document

Meaning = Literal[
    "rate_limited",  # too much for now: the same request may succeed later
    "too_large",  # this request alone exceeds a limit of the account or server: waiting does not help
    "out_of_quota",  # the account has no credit left: waiting does not help
    "server_error",  # a failure of the provider
    "model_missing",  # the provider has no such model
    "not_found",  # something else is missing, perhaps the path
    "item_missing",  # the request refers to a missing item: a stored response, a file
    "context_length",  # prompt and requested output exceed the model's context
    "content_filter",  # blocked by a content policy
    "auth",  # our credential is rejected
    "payment_required",  # 402: the account's balance
    "forbidden",  # 403: this request, or this deployment, is not allowed
    "refused_in_answer",  # a 4xx inside a 200
    "loop",  # another gateway found that the request came back to it
    "other",  # the request is wrong
]


class Refusal(Struct, frozen=True):
    """``retry_after``: seconds from now, 0 to ``LONGEST``; ``None`` if the provider gave no time."""

    kind: Meaning
    retry_after: float | None = None


LONGEST: Final = 86_400.0  # a wrong header must not disable a deployment for years
LIMIT: Final = 2000  # characters of one sentence
SENTENCES: Final = 24
TOGETHER: Final = 4000  # characters that are searched, so that the loop is not blocked

_SIZES: Final = re.compile(r"\blimit:? (\d{1,15}), (?:used:? \d+, )?requested:? (\d{1,15})", re.IGNORECASE)

# A 402 that a smaller request would pass. OpenRouter: "requires more credits, or fewer max_tokens. You requested up to
# 32000 tokens, but can only afford 27342", Gitlawb/openclaude#1125; where it affords 0, no request would.
_FEWER_TOKENS: Final = re.compile(r"\bmax_(?:completion_|output_)?tokens\b", re.IGNORECASE)
_AFFORDS_NOTHING: Final = re.compile(r"can only afford 0\b", re.IGNORECASE)


def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.MULTILINE)


_CONTEXT = _any(wordings.CONTEXT_LENGTH)
_FILTER = _any(wordings.CONTENT_FILTER)
_MISSING = _any(wordings.MODEL_MISSING)
_RATE = _any(wordings.RATE_LIMITED)
_LARGE = _any(wordings.TOO_LARGE)


def _first(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """For ``match``: at the beginning of a sentence."""
    return re.compile("|".join(patterns), re.IGNORECASE)


_MODEL_FORBIDDEN = _first(wordings.MODEL_FORBIDDEN)
_WRONG_KEY = _first(wordings.WRONG_KEY)
_KEY_FORBIDDEN = _first(wordings.KEY_FORBIDDEN)
_UNAVAILABLE_HERE = _first(wordings.UNAVAILABLE_HERE)
_MISSING_SCOPE = _first(wordings.MISSING_SCOPE)
_OUT_OF_QUOTA = _first(wordings.OUT_OF_QUOTA)
_OUT_OF_CREDIT = _first(wordings.OUT_OF_CREDIT)
_MISSING_IN_400 = _first(wordings.MODEL_MISSING_IN_400)
_ITEM_MISSING = _first(wordings.ITEM_MISSING)

# Members with the provider's own sentences. `raw` is the error of another provider inside OpenRouter's.
_MESSAGE_MEMBERS = (
    *("error", "message", "type", "code", "status", "detail", "msg", "error_type", "innererror", "metadata", "raw"),
    "error_code",  # of Anthropic's details
    *("details", "reason", "violations", "quotaId"),  # google.rpc.ErrorInfo and QuotaFailure
)
_DEEPEST = 7  # Gemini: list, document, error, details, detail, violations, violation
_RETRY_SOON = (408, 425)
_RETRY_INFO = (429, 503)
_NOT_FOUND = (404, 410)
_TOO_LONG = (400, 413, 422)
_SAME_IN_ANSWER = (401, 402, 403, 413, 429)  # these mean the same as a status and inside a 200


def read(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, wall: float) -> Refusal:
    """The meaning of a response with an error status.

    Header names in any case, any body. ``wall`` is the current Unix time, since Retry-After may be a date.
    """
    kind = _meaning(status, _sentences(body))
    if kind in ("model_missing", "not_found") and status in _NOT_FOUND:
        error = provider_error.refused(body)
        if error is not None and error.param not in (None, "", "model"):
            kind = "item_missing"
        elif kind == "model_missing" and _names_something_else(error):
            kind = "not_found"
    retry_after = _retry_after(headers, wall)
    if retry_after is None and status in _RETRY_INFO:
        retry_after = _retry_info(body)
    return Refusal(kind, retry_after)


def of_error(error: ProviderError | None) -> Refusal:
    """The meaning of an error inside a 200; ``None`` is one without a message.

    An unknown error is a server error, unless it names a 4xx.
    """
    if error is None:
        return Refusal("server_error")
    sentences = [str(error.code or ""), error.type or "", error.message]
    text = "\n".join(sentences)
    status = error.status or (429 if _RATE.search(text) else 0)
    if status in _SAME_IN_ANSWER:
        return Refusal(_meaning(status, sentences))
    if _FILTER.search(text):
        return Refusal("content_filter")
    if _CONTEXT.search(text):
        return Refusal("context_length")
    if status in (0, 400, 404) and _MISSING.search(text) and not _names_something_else(error):
        return Refusal("model_missing")
    if 400 <= status < 500 and status not in _RETRY_SOON:
        return Refusal("refused_in_answer")
    return Refusal("server_error")


def _meaning(status: int, sentences: list[str]) -> Meaning:
    text = "\n".join(sentences)[:TOGETHER]
    if status == LoopDetected.status and LoopDetected.code in sentences:
        return "loop"
    if status >= 500 or status in _RETRY_SOON:
        return "server_error"
    if status in _READERS:
        return _READERS[status](text, sentences)
    if _FILTER.search(text):
        return "content_filter"
    if status in _TOO_LONG and _CONTEXT.search(text):
        return "context_length"
    if status == 413:
        return "too_large"
    if status == 400 and any(map(_WRONG_KEY.match, sentences)):
        return "auth"
    if status == 400 and any(map(_OUT_OF_CREDIT.match, sentences)):
        return "out_of_quota"
    if status == 400 and any(map(_UNAVAILABLE_HERE.match, sentences)):
        return "forbidden"
    if status == 400 and any(map(_MISSING_IN_400.match, sentences)):
        return "model_missing"
    return "other"


def _unauthorized(text: str, sentences: list[str]) -> Meaning:
    return "forbidden" if any(map(_MISSING_SCOPE.match, sentences)) else "auth"


def _payment_required(text: str, sentences: list[str]) -> Meaning:
    return "other" if _FEWER_TOKENS.search(text) and not _AFFORDS_NOTHING.search(text) else "payment_required"


def _forbidden(text: str, sentences: list[str]) -> Meaning:
    if _FILTER.search(text):
        return "content_filter"
    if any(map(_KEY_FORBIDDEN.match, sentences)):
        return "auth"
    return "model_missing" if any(map(_MODEL_FORBIDDEN.match, sentences)) else "forbidden"


def _not_found(text: str, sentences: list[str]) -> Meaning:
    if any(map(_ITEM_MISSING.match, sentences)):
        return "item_missing"
    return "model_missing" if _MISSING.search(text) else "not_found"


def _names_something_else(error: ProviderError | None) -> bool:
    """Whether an error that looks like a missing model names another field.

    OpenAI quotes the missing ID, and a client may choose "the model does not exist" as an ID.
    """
    if error is None:
        return False
    code = error.code if isinstance(error.code, str) else ""
    named = code.endswith("_not_found") and _MISSING.search(code) is None
    return named or error.param not in (None, "", "model")


def _too_many(text: str, sentences: list[str]) -> Meaning:
    if any(map(_OUT_OF_QUOTA.match, sentences)):
        return "out_of_quota"
    return "too_large" if _exceeds(text) else "rate_limited"


def _exceeds(text: str) -> bool:
    """Whether the request alone exceeds the limit, so that waiting does not help."""
    sizes = _SIZES.search(text)
    return int(sizes[2]) > int(sizes[1]) if sizes else _LARGE.search(text) is not None


_READERS: Final = {
    401: _unauthorized,
    402: _payment_required,
    403: _forbidden,
    404: _not_found,
    410: _not_found,
    429: _too_many,
}


def _sentences(body: bytes) -> list[str]:
    """The provider's own sentences; for a body that is not JSON, its beginning."""
    try:
        found = document.decode(body)
    except ValueError:
        return [body[:LIMIT].decode("utf-8", "replace")]
    return [text[:LIMIT] for text in islice(_strings(found, 0), SENTENCES)]


def _strings(found: Any, depth: int) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif depth == _DEEPEST:
        return
    elif isinstance(found, list):  # Gemini wraps errors in a list, FastAPI lists mistakes
        for entry in found[:SENTENCES]:
            yield from _strings(entry, depth + 1)
    elif isinstance(found, dict):
        for name in _MESSAGE_MEMBERS:
            value = found.get(name)
            if name == "raw" and isinstance(value, str):
                yield from _sentences(value.encode("utf-8", "replace"))
            elif value is not None:
                yield from _strings(value, depth + 1)


def _retry_after(headers: Iterable[tuple[bytes, bytes]], wall: float) -> float | None:
    """Retry-After (RFC 9110 section 10.2.3), else Azure's ``retry-after-ms``."""
    seconds = milliseconds = None
    for name, value in headers:
        match name.lower():
            case b"retry-after":
                seconds = _number(value)
                if seconds is None:
                    seconds = _until(value, wall)
            case b"retry-after-ms":
                milliseconds = _number(value)
    if seconds is None and milliseconds is not None:
        seconds = milliseconds / 1000
    return None if seconds is None else min(max(seconds, 0.0), LONGEST)


def _retry_info(body: bytes) -> float | None:
    """The ``retryDelay`` of a ``google.rpc.RetryInfo``, such as ``48s``: Gemini sends no header."""
    try:
        found = document.decode(body)
    except ValueError:
        return None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    error = found.get("error") if isinstance(found, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details[:SENTENCES] if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            seconds = _number(delay[:-1].encode("utf-8", "replace"))
            return None if seconds is None else min(seconds, LONGEST)
    return None


_is_number = re.compile(rb"\d{1,12}(?:\.\d{1,9})?").fullmatch  # the RFC has no fractions, but providers send them


def _number(value: bytes) -> float | None:
    value = value.strip()
    return float(value) if _is_number(value) else None


def _until(value: bytes, wall: float) -> float | None:
    """Seconds until an HTTP date, negative if it is past."""
    try:
        return parsedate_to_datetime(value.decode("ascii")).timestamp() - wall
    except (ValueError, OverflowError):
        return None
