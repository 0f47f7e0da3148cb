"""The format of an answer: ``output_config.format``, or an instruction where the API cannot enforce it.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.anthropic.provider.cache_marks import Block
from proxy.dialects.anthropic.provider.output_schema import StrictSchema, strict_schema
from proxy.dialects.translation.client_names import MemberNames
from proxy.dialects.translation.conversation import JsonFormat
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from proxy.wire import document

_ANY_JSON: Final = "Answer with one valid JSON object and nothing else: no text around it, and no Markdown fence."
_BY_SCHEMA: Final = "Its JSON Schema is:\n\n"


class FormatEncoder:
    """Encodes the format of one request's answer. ``schema``: what the API enforces, ``None`` for nothing.

    Raises Untranslatable for a strict schema that it cannot enforce. One that is not strict is an instruction to the
    model, as it is at OpenAI, and so is any JSON.
    """

    __slots__ = ("_client", "_form", "_losses", "schema")

    def __init__(self, form: JsonFormat | None, facts: ModelFacts, losses: Losses, client: MemberNames) -> None:
        self._form = form
        self._losses = losses
        self._client = client
        self.schema: StrictSchema | None = None
        if form is None or form.schema is None:
            return
        self.schema = strict_schema(form.schema) if facts.structured else None
        if self.schema is None and form.strict:
            reason = "Its schema cannot be enforced there." if facts.structured else "The model enforces no schema."
            raise Untranslatable(client.output_format, reason)

    def instruction(self) -> list[Block]:
        """System text for a format that is not enforced."""
        form = self._form
        if form is None or self.schema is not None:
            return []
        self._losses.drop(self._client.output_format)
        text = _ANY_JSON
        if form.schema is not None:
            text = f"{text} {_BY_SCHEMA}{document.encode(form.schema).decode()}"
        return [{"type": "text", "text": text}]

    def member(self) -> dict[str, Any]:
        """``format`` within an object; empty for none."""
        form, found = self._form, self.schema
        if form is None or found is None:
            return {}
        if not found.exact:
            self._losses.drop(self._client.output_schema)
        words = {name: text for name, text in (("title", form.name), ("description", form.description)) if text}
        return {"format": {"type": "json_schema", "schema": words | found.schema}}
