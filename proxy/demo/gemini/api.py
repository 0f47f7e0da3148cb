"""What the endpoints of Google's API share.

Sources: https://google.aip.dev/193, https://ai.google.dev/gemini-api/docs/troubleshooting and https://ai.google.dev/api/models
"""

from __future__ import annotations

from typing import Any, Final

from proxy.demo.answer import DemoAnswer, Frame, encode
from proxy.demo.api import DemoApi
from proxy.demo.models import DemoModel
from proxy.demo.refusal import DemoRefusal

_WORDS: Final = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
_STATUSES: Final = {401: 400}  # a wrong key is an invalid argument
_MESSAGES: Final = {
    "invalid_api_key": "API key not valid. Please pass a valid API key.",
    "context_length_exceeded": "The input token count (10000) exceeds the maximum number of tokens allowed (8192).",
}
_METHODS: Final = {
    "chat": ("generateContent", "countTokens"),
    "reasoning": ("generateContent", "countTokens"),
    "embedding": ("embedContent", "batchEmbedContents"),
}
_TYPE: Final = "type.googleapis.com/google.rpc."


class GeminiApi(DemoApi):
    """Errors with ``code``, ``status`` and ``details``. The time to wait is one of the details, not a header."""

    def refused(self, refusal: DemoRefusal) -> DemoAnswer:
        status = _STATUSES.get(refusal.status, refusal.status)
        message = _MESSAGES.get(refusal.code or "", refusal.message)
        body = encode(error_document(message, status, _details(refusal)))
        return DemoAnswer("application/json; charset=UTF-8", [Frame(body)], status=status, headers=refusal.headers)

    def listed(self, model: DemoModel, name: str) -> dict[str, Any]:
        limits = {"inputTokenLimit": model.context} if model.context else {}
        return {
            "name": f"models/{name}",
            "version": "1",
            "displayName": name,
            "description": model.description,
            **limits,
            "supportedGenerationMethods": _METHODS.get(model.type, ()),
        }

    def models(self, models: tuple[DemoModel, ...]) -> dict[str, Any]:
        return {"models": [self.listed(model, model.name) for model in models]}


def error_document(message: str, status: int = 500, details: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The body of an error, which is also the data of an event."""
    error: dict[str, Any] = {"code": status, "message": message, "status": _WORDS.get(status, "INTERNAL")}
    return {"error": error | ({"details": details} if details else {})}


def _details(refusal: DemoRefusal) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    if refusal.code == "invalid_api_key":
        details.append({"@type": f"{_TYPE}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"})
    if refusal.param:
        violation = {"field": refusal.param, "description": refusal.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if refusal.retry_after is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{refusal.retry_after:g}s"})
    return details
