"""``generationConfig`` of requests: sampling, thinking, and the form of the answer.

Source: https://ai.google.dev/api/generate-content#GenerationConfig, and the types of the package google-genai 3.6
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

from proxy.dialects.gemini.client.schema_decoder import json_schema
from proxy.dialects.gemini.client.spelling import known_members, spelled
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import JsonFormat, SamplingSettings, ThinkingSettings
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.dialects.translation.strict_schemas import is_strict
from proxy.errors import Untranslatable, WrongMember

CONFIG: Final = "generationConfig"
MOST_CANDIDATES: Final = 8  # Google's own limit: https://ai.google.dev/api/generate-content#GenerationConfig

_WHOLE: Final = ("topK", "seed", "logprobs", "candidateCount", "maxOutputTokens")
_NUMBERS: Final = (*_WHOLE, "temperature", "topP", "presencePenalty", "frequencyPenalty")
_SCHEMAS: Final = ("responseJsonSchema", "_responseJsonSchema", "responseSchema")
_CONFIG: Final = frozenset(
    {
        *(*_NUMBERS, *_SCHEMAS, "responseLogprobs", "stopSequences", "responseMimeType"),
        *("responseFormat", "responseModalities", "thinkingConfig"),
    }
)
_THINKING: Final = frozenset(("includeThoughts", "thinkingBudget", "thinkingLevel"))
_FORMAT: Final = frozenset(("text",))
_TEXT_FORMAT: Final = frozenset(("mimeType", "jsonSchema"))

_EFFORTS: Final = {
    "": "",
    "THINKING_LEVEL_UNSPECIFIED": "",
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}
_DYNAMIC: Final = -1  # a budget: the model decides
_TEXT_ONLY: Final = frozenset(("TEXT", "MODALITY_UNSPECIFIED"))
_JSON: Final = "application/json"
_PLAIN: Final = ("", "text/plain")

_is_number: Final = re.compile(r"-?\d{1,15}(\.\d{1,15})?").fullmatch


class GeminiSettingsDecoder:
    """Decodes the settings of one request. ``config``: its member ``generationConfig``, within which errors stand."""

    __slots__ = ("_config", "_losses")

    def __init__(self, config: JsonObject, losses: Losses) -> None:
        self._losses = losses
        self._config = _with_numbers(known_members(config, _CONFIG, f"{CONFIG}.", losses), _NUMBERS)

    def sampling(self) -> SamplingSettings:
        config = self._config
        return SamplingSettings(
            temperature=members.number(config, "temperature"),
            top_p=members.number(config, "topP"),
            top_k=members.integer(config, "topK"),
            seed=members.integer(config, "seed"),
            presence_penalty=members.number(config, "presencePenalty"),
            frequency_penalty=members.number(config, "frequencyPenalty"),
            logprobs=members.flag(config, "responseLogprobs") is True,
            top_logprobs=members.integer(config, "logprobs"),
        )

    def output_tokens(self) -> int | None:
        return members.integer(self._config, "maxOutputTokens")

    def stop(self) -> list[str]:
        return members.texts(self._config, "stopSequences")

    def choices(self) -> int:
        count = members.integer(self._config, "candidateCount")
        if count is None:
            return 1
        if count < 1:
            raise WrongMember("candidateCount", "at least 1")
        if count > MOST_CANDIDATES:
            raise Untranslatable("candidateCount", f"Answers can have {MOST_CANDIDATES} candidates at most.")
        return count

    def check_modalities(self) -> None:
        """Raises Untranslatable for answers that are not text."""
        modalities = members.texts(self._config, "responseModalities")
        if not _TEXT_ONLY.issuperset(each.upper() for each in modalities):
            raise Untranslatable("responseModalities", "Answers can only be text there.")

    def thinking(self) -> ThinkingSettings:
        found = members.mapping(self._config, "thinkingConfig")
        if found is None:
            return ThinkingSettings()
        config = known_members(found, _THINKING, f"{CONFIG}.thinkingConfig.", self._losses)
        config = _with_numbers(config, ("thinkingBudget",))
        with Within("thinkingConfig"):
            budget, level = members.integer(config, "thinkingBudget"), members.text(config, "thinkingLevel").upper()
            shows = members.flag(config, "includeThoughts")
        if level not in _EFFORTS:
            self._losses.drop(f"{CONFIG}.thinkingConfig.thinkingLevel")
        shown: Literal["omitted", "summary"] = "summary" if shows else "omitted"
        thinking = ThinkingSettings(effort=_EFFORTS.get(level, ""), shown=shown)
        if budget is not None:
            thinking.mode = "adaptive" if budget <= _DYNAMIC else "on" if budget else "off"
            thinking.budget = budget if budget > 0 else None
        return thinking

    def output_format(self) -> JsonFormat | None:
        """``None``: text. Raises Untranslatable for forms that no other dialect has."""
        formats = list(members.each(self._config, "responseFormat", self._format))
        given = [name for name in _SCHEMAS if self._config.get(name) is not None]
        self._losses.drop(*(f"{CONFIG}.{name}" for name in (given if formats else given[1:])))
        if formats:
            return formats[-1]
        schema = self._config[given[0]] if given else None
        if given == ["responseSchema"]:
            schema = json_schema(schema, closed=True)
        return _json_format(self._config, "responseMimeType", schema)

    def _format(self, form: JsonObject) -> JsonFormat | None:
        """An entry of ``responseFormat``, which Vertex has."""
        found = spelled(form, _FORMAT)
        other = members.unknown(found, _FORMAT)
        if other:
            raise Untranslatable(other[0], "Answers can only be text there.")
        text = members.mapping(found, "text") or {}
        text = known_members(text, _TEXT_FORMAT, f"{CONFIG}.responseFormat[].text.", self._losses)
        with Within("text"):
            return _json_format(text, "mimeType", text.get("jsonSchema"))


def _json_format(holder: JsonObject, name: str, schema: Any) -> JsonFormat | None:
    """The format by a schema, and by the media type in the member ``name``. ``None``: text."""
    media_type = members.text(holder, name).lower()
    if media_type not in (*_PLAIN, _JSON):
        raise Untranslatable(name, "Answers can only be text or JSON there.")
    if schema is None:
        return None if media_type in _PLAIN else JsonFormat()
    title = schema.get("title") if isinstance(schema, dict) else None
    return JsonFormat(schema, title if isinstance(title, str) else "", strict=is_strict(schema) or None)


def _with_numbers(holder: JsonObject, names: Iterable[str]) -> JsonObject:
    """The object with numbers in place of the strings that Google's parser takes for them."""
    found = holder
    for name in names:
        value = holder.get(name)
        if isinstance(value, str) and _is_number(value):
            found = found | {name: float(value)}
    return found
