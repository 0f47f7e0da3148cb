"""What the endpoints of OpenAI's API share.

Sources: https://platform.openai.com/docs/guides/error-codes and .../docs/api-reference/models
"""

from __future__ import annotations

from typing import Any

from proxy.demo.answer import DemoAnswer, Frame, encode, error_object
from proxy.demo.api import DemoApi
from proxy.demo.models import DemoModel
from proxy.demo.refusal import DemoRefusal


class OpenAIApi(DemoApi):
    """Errors with ``type``, ``code`` and ``param``."""

    def refused(self, refusal: DemoRefusal) -> DemoAnswer:
        body = encode(error_object(refusal.message, refusal.kind, code=refusal.code, param=refusal.param))
        headers = refusal.headers
        if refusal.retry_after is not None:
            headers |= {"Retry-After": f"{refusal.retry_after:.0f}", "x-ratelimit-remaining-requests": "0"}
        return DemoAnswer("application/json", [Frame(body)], status=refusal.status, headers=headers)

    def listed(self, model: DemoModel, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": 1_700_000_000,
            "owned_by": "demo",
            "type": model.type,
            "description": model.description,
        }

    def models(self, models: tuple[DemoModel, ...]) -> dict[str, Any]:
        return {"object": "list", "data": [self.listed(model, model.name) for model in models]}
