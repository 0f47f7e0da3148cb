"""What the endpoints of Anthropic's API share.

Sources: https://docs.claude.com/en/api/errors and https://docs.claude.com/en/api/models-list
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from proxy.demo.answer import DemoAnswer, Frame, encode
from proxy.demo.api import DemoApi
from proxy.demo.models import DemoModel
from proxy.demo.refusal import DemoRefusal

_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_STATUSES: Final = {503: 529}  # Anthropic's own status for an overload
# Wordings that clients read. Claude Code compacts its conversation after the second one.
_MESSAGES: Final = {
    "invalid_api_key": "invalid x-api-key",
    "context_length_exceeded": "prompt is too long: 10000 tokens > 8192 maximum",
}


class AnthropicApi(DemoApi):
    """Errors with ``type`` and ``message``."""

    def refused(self, refusal: DemoRefusal) -> DemoAnswer:
        status = _STATUSES.get(refusal.status, refusal.status)
        message = _MESSAGES.get(refusal.code or "", refusal.message)
        body = encode(error_document(message, _TYPES.get(status, "api_error")))
        headers = refusal.headers
        if refusal.retry_after is not None:
            headers |= {"Retry-After": f"{refusal.retry_after:.0f}"}
        return DemoAnswer("application/json", [Frame(body)], status=status, headers=headers)

    def listed(self, model: DemoModel, name: str) -> dict[str, Any]:
        return {
            "type": "model",
            "id": name,
            "display_name": model.description,
            "created_at": "2023-11-14T22:13:20Z",
        }

    def models(self, models: tuple[DemoModel, ...]) -> dict[str, Any]:
        data = [self.listed(model, model.name) for model in models]
        return {"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]}


def error_document(message: str, kind: str = "api_error") -> dict[str, Any]:
    """The body of an error, which is also the data of the event ``error``."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": f"req_{secrets.token_hex(12)}"}
