"""The settings of a chat request, decoded.

Source: https://platform.openai.com/docs/api-reference/chat/create. Of other servers: ``top_k``, OpenRouter's
``reasoning``, and the ways to turn thinking on or off, ``thinking`` (DeepSeek, Kimi, GLM, LiteLLM) and
``enable_thinking`` (Qwen).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import CacheMark, JsonFormat, SamplingSettings, ThinkingSettings
from proxy.dialects.translation.effort import EFFORTS
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

SETTINGS: Final = frozenset(
    {"temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "logit_bias"}
    | {"logprobs", "top_logprobs", "reasoning_effort", "reasoning", "thinking", "enable_thinking"}
    | {"response_format", "max_tokens", "max_completion_tokens", "stop", "n", "user", "safety_identifier"}
    | {"prompt_cache_options", "prompt_cache_breakpoint", "cache_control", "stream_options", "modalities"}
)

ThinkingMode: TypeAlias = Literal["off", "on", "adaptive"]

_REASONING: Final = frozenset({"effort", "max_tokens", "enabled", "exclude"})
_THINKING: Final = frozenset({"type", "budget_tokens"})
_MODES: Final[dict[str, ThinkingMode]] = {
    "enabled": "on",
    "disabled": "off",
    "adaptive": "adaptive",
    "auto": "adaptive",
}
_FORMAT: Final = frozenset({"type", "json_schema"})
_JSON_SCHEMA: Final = frozenset({"name", "description", "schema", "strict"})
_CACHE_OPTIONS: Final = frozenset({"mode", "ttl"})
_STREAM_OPTIONS: Final = frozenset({"include_usage"})


class ChatSettingsDecoder:
    """Decodes the settings of one request. What is lost is added to ``dropped``."""

    __slots__ = ("_body", "_dropped")

    def __init__(self, body: JsonObject, dropped: list[str]) -> None:
        self._body = body
        self._dropped = dropped

    def sampling(self) -> SamplingSettings:
        body = self._body
        return SamplingSettings(
            members.number(body, "temperature"),
            members.number(body, "top_p"),
            members.integer(body, "top_k"),
            members.integer(body, "seed"),
            members.number(body, "presence_penalty"),
            members.number(body, "frequency_penalty"),
            members.mapping(body, "logit_bias"),
            bool(members.flag(body, "logprobs")),
            members.integer(body, "top_logprobs"),
        )

    def thinking(self) -> ThinkingSettings:
        """Where members contradict each other, OpenRouter's ``reasoning`` counts first."""
        reasoning, thinking = self._object("reasoning", _REASONING), self._object("thinking", _THINKING)
        settings = ThinkingSettings(effort=self._effort(reasoning))
        with Within("reasoning"):
            budget = members.integer(reasoning, "max_tokens")
            enabled = members.flag(reasoning, "enabled")
            settings.shown = "omitted" if members.flag(reasoning, "exclude") else ""
        with Within("thinking"):
            other = members.integer(thinking, "budget_tokens")
            kind = members.text(thinking, "type")
        settings.budget = other if budget is None else budget
        if other not in (None, settings.budget):
            self._dropped.append("thinking.budget_tokens")
        toggle = members.flag(self._body, "enable_thinking")
        self._set_mode(settings, "reasoning.enabled", _switched(enabled))
        if kind and kind not in _MODES:
            self._dropped.append("thinking.type")
        self._set_mode(settings, "thinking.type", _MODES.get(kind))
        self._set_mode(settings, "enable_thinking", _switched(toggle))
        if settings.budget is not None and not settings.mode:
            settings.mode = "on" if settings.budget > 0 else "off"
        return settings

    def output_format(self) -> JsonFormat | None:
        """``None``: text. Raises Untranslatable for types that no other dialect has."""
        found = self._object("response_format", _FORMAT)
        with Within("response_format"):
            kind = members.text(found, "type")
            if kind in ("", "text"):
                return None
            if kind == "json_object":
                return JsonFormat()
            if kind != "json_schema":
                raise Untranslatable("type", "Formats of this type have no counterpart there.")
            schema = members.required_mapping(found, "json_schema")
            self._dropped += members.unknown(schema, _JSON_SCHEMA, "response_format.json_schema.")
            with Within("json_schema"):
                return JsonFormat(
                    members.mapping(schema, "schema"),
                    members.text(schema, "name"),
                    members.text(schema, "description"),
                    members.flag(schema, "strict"),
                )

    def output_tokens(self) -> int | None:
        """``max_completion_tokens`` replaces ``max_tokens``."""
        old, new = members.integer(self._body, "max_tokens"), members.integer(self._body, "max_completion_tokens")
        if new is None:
            return old
        if old not in (None, new):
            self._dropped.append("max_tokens")
        return new

    def own_names(self) -> dict[str, str]:
        """The client's name for a limit or a user, where it is not the one that losses have."""
        found = {"user": "safety_identifier"} if self._body.get("safety_identifier") else {}
        if self._body.get("max_tokens") is not None and self._body.get("max_completion_tokens") is None:
            found["max_completion_tokens"] = "max_tokens"
        return found

    def stop(self) -> list[str]:
        stop = self._body.get("stop")
        if isinstance(stop, str):
            return [stop] if stop else []
        return members.texts(self._body, "stop")

    def choices(self) -> int:
        choices = members.integer(self._body, "n")
        if choices is None:
            return 1
        if choices < 1:
            raise WrongMember("n", "a whole number, at least 1")
        return choices

    def end_user(self) -> str:
        """``safety_identifier`` replaces ``user``."""
        old, new = members.text(self._body, "user"), members.text(self._body, "safety_identifier")
        if new and old not in ("", new):
            self._dropped.append("user")
        return new or old

    def caching(self) -> tuple[CacheMark | None, str]:
        """The mark at the end of the prompt, and the lifetime of marks that name none."""
        options = self._object("prompt_cache_options", _CACHE_OPTIONS)
        with Within("prompt_cache_options"):
            ttl, mode = members.text(options, "ttl"), members.text(options, "mode")
        return (CacheMark(ttl) if options and mode != "explicit" else None), ttl

    def wants_usage(self) -> bool:
        options = self._object("stream_options", _STREAM_OPTIONS)
        with Within("stream_options"):
            return bool(members.flag(options, "include_usage"))

    def check_modalities(self) -> None:
        """Raises Untranslatable for answers that are not text."""
        if not {"text"}.issuperset(members.texts(self._body, "modalities")):
            raise Untranslatable("modalities", "Answers can only be text there.")

    def _effort(self, reasoning: JsonObject) -> str:
        with Within("reasoning"):
            own = members.text(reasoning, "effort")
        other = members.text(self._body, "reasoning_effort")
        if own and other not in ("", own):
            self._dropped.append("reasoning_effort")
        effort = own or other
        if effort in ("", *EFFORTS):
            return effort
        self._dropped.append("reasoning.effort" if own else "reasoning_effort")
        return ""

    def _set_mode(self, settings: ThinkingSettings, name: str, mode: ThinkingMode | None) -> None:
        """Set the mode that the member ``name`` asks for, unless one before it contradicts."""
        if mode is not None and settings.mode not in ("", mode):
            self._dropped.append(name)
        elif mode is not None:
            settings.mode = mode

    def _object(self, name: str, known: frozenset[str]) -> JsonObject:
        """A member that is an object, empty if it is absent."""
        found = members.mapping(self._body, name)
        if not found:
            return {}
        self._dropped += members.unknown(found, known, name + ".")
        return found


def _switched(on: bool | None) -> ThinkingMode | None:
    return None if on is None else "on" if on else "off"
