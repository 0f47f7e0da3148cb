"""The settings of a Responses request, decoded.

Source: https://platform.openai.com/docs/api-reference/responses/create, and the parameter types of the package openai
3.52. The penalties are those of Open Responses (https://www.openresponses.org/reference).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import CacheMark, JsonFormat, SamplingSettings, ThinkingSettings
from proxy.dialects.translation.effort import EFFORTS
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable

SETTINGS: Final = frozenset(
    {"temperature", "top_p", "top_logprobs", "presence_penalty", "frequency_penalty", "include", "reasoning", "text"}
    | {"prompt_cache_options", "store", "truncation", "max_tool_calls", "stream_options", "user", "safety_identifier"}
)
LOGPROBS: Final = "message.output_text.logprobs"
SEALED: Final = "reasoning.encrypted_content"

_REASONING: Final = frozenset({"effort", "summary", "generate_summary", "context", "mode"})
_USUAL: Final = frozenset({"", "auto", "standard"})  # values of context and mode that ask for nothing special
_TEXT: Final = frozenset({"format", "verbosity"})
_FORMAT: Final = frozenset({"type", "name", "description", "schema", "strict"})
_CACHE_OPTIONS: Final = frozenset({"mode", "ttl", "prewarm"})
_STREAM_OPTIONS: Final = frozenset({"include_obfuscation", "include_usage"})

Updates: TypeAlias = Iterable[tuple[int, JsonObject]]  # items of the input that change settings, with their index


class ResponsesSettingsDecoder:
    """Decodes the settings of one request."""

    __slots__ = ("_body", "_losses")

    def __init__(self, body: JsonObject, losses: Losses) -> None:
        self._body = body
        self._losses = losses

    def sampling(self) -> SamplingSettings:
        body = self._body
        top = members.integer(body, "top_logprobs")
        return SamplingSettings(
            members.number(body, "temperature"),
            members.number(body, "top_p"),
            presence_penalty=members.number(body, "presence_penalty"),
            frequency_penalty=members.number(body, "frequency_penalty"),
            logprobs=bool(top) or LOGPROBS in members.texts(body, "include"),
            top_logprobs=top,
        )

    def thinking(self, updates: Updates) -> ThinkingSettings:
        """``updates``: items ``configuration_update``, of which the last one counts."""
        found = self._object("reasoning", _REASONING)
        with Within("reasoning"):
            effort = members.text(found, "effort")
            summary = self._summary(found)
            for name in ("context", "mode"):
                if members.text(found, name) not in _USUAL:
                    self._losses.drop(f"reasoning.{name}")
        for index, item in updates:
            with Within(f"input[{index}].reasoning"):
                changed = members.mapping(item, "reasoning") or {}
                self._losses.drop(*members.unknown(changed, frozenset({"effort"}), "input[].reasoning."))
                effort = members.text(changed, "effort") or effort
        if effort not in ("", *EFFORTS):
            self._losses.drop("reasoning.effort")
            effort = ""
        return ThinkingSettings(effort=effort, shown="summary" if summary else "")

    def output_format(self, updates: Updates) -> JsonFormat | None:
        """``None``: text. Raises Untranslatable for types that no other dialect has."""
        found = self._format(self._object("text", _TEXT), "text.")
        for index, item in updates:
            changed = members.mapping(item, "text")
            if changed is not None:
                self._losses.drop(*members.unknown(changed, frozenset({"format"}), "input[].text."))
                with Within(f"input[{index}]"):
                    found = self._format(changed, "input[].text.")
        return found

    def verbosity(self) -> str:
        with Within("text"):
            return members.text(members.mapping(self._body, "text") or {}, "verbosity")

    def end_user(self) -> str:
        """``safety_identifier`` replaces ``user``."""
        old, new = members.text(self._body, "user"), members.text(self._body, "safety_identifier")
        if new and old not in ("", new):
            self._losses.drop("user")
        return new or old

    def caching(self) -> tuple[CacheMark | None, str]:
        """The mark at the end of the prompt, and the lifetime of marks that name none."""
        options = self._object("prompt_cache_options", _CACHE_OPTIONS)
        with Within("prompt_cache_options"):
            ttl, mode = members.text(options, "ttl"), members.text(options, "mode")
            if members.flag(options, "prewarm"):
                raise Untranslatable("prewarm", "The model would answer, which is billed.")
        return (CacheMark(ttl) if options and mode != "explicit" else None), ttl

    def note_lost(self) -> None:
        """Note the settings that are left out whatever the provider. Nothing is stored."""
        for name in members.texts(self._body, "include"):
            if name not in (LOGPROBS, SEALED):
                self._losses.drop(f"include[{name}]")
        if members.flag(self._body, "store"):
            self._losses.drop("store")
        if members.text(self._body, "truncation") not in ("", "disabled"):
            self._losses.drop("truncation")
        if members.integer(self._body, "max_tool_calls") is not None:
            self._losses.drop("max_tool_calls")  # of tools that OpenAI runs
        options = self._object("stream_options", _STREAM_OPTIONS)
        with Within("stream_options"):
            if members.flag(options, "include_obfuscation"):
                self._losses.drop("stream_options.include_obfuscation")

    def _summary(self, reasoning: JsonObject) -> bool:
        """Whether the client wants a summary. How long it is, is the provider's choice."""
        for name in ("summary", "generate_summary"):
            if members.text(reasoning, name) not in ("", "auto"):
                self._losses.drop(f"reasoning.{name}")
        return bool(reasoning.get("summary") or reasoning.get("generate_summary"))

    def _format(self, text: JsonObject, path: str) -> JsonFormat | None:
        with Within("text"):
            found = members.mapping(text, "format") or {}
            self._losses.drop(*members.unknown(found, _FORMAT, f"{path}format."))
            with Within("format"):
                kind = members.text(found, "type")
                if kind in ("", "text"):
                    return None
                if kind == "json_object":
                    return JsonFormat()
                if kind != "json_schema":
                    raise Untranslatable("type", "Formats of this type have no counterpart there.")
                return JsonFormat(
                    members.mapping(found, "schema"),
                    members.text(found, "name"),
                    members.text(found, "description"),
                    members.flag(found, "strict"),
                )

    def _object(self, name: str, known: frozenset[str]) -> JsonObject:
        """An object whose unknown members are lost; empty if it is absent."""
        found = members.mapping(self._body, name) or {}
        self._losses.drop(*members.unknown(found, known, f"{name}."))
        return found
