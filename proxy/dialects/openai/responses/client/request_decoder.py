"""Requests of OpenAI's Responses API, decoded.

Source: https://platform.openai.com/docs/api-reference/responses/create, and the parameter types of the package openai
3.52
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.openai.responses.client.content_decoder import NAME, ResponsesContentDecoder
from proxy.dialects.openai.responses.client.echo import echo_of
from proxy.dialects.openai.responses.client.input_decoder import STATE, UNSUPPORTED_STATE, ResponsesInputDecoder
from proxy.dialects.openai.responses.client.settings_decoder import SETTINGS, ResponsesSettingsDecoder
from proxy.dialects.openai.responses.client.tools_decoder import ResponsesToolsDecoder
from proxy.dialects.translation import members
from proxy.dialects.translation.base import RequestDecoder
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable, WrongMember
from proxy.wire.criteria import FIELDS

_KNOWN: Final = (
    SETTINGS
    | FIELDS
    | {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens", "stream"}
    | {"metadata", "service_tier", "prompt_cache_key"}
    | {"previous_response_id", "conversation", "prompt", "background"}
)
_STATE: Final = {
    "previous_response_id": STATE,
    "conversation": STATE,
    "prompt": "The template is stored at OpenAI. Send its text in 'instructions'.",
    "background": "The answer would have to be stored until it is asked for. Leave it out, or send false.",
}


class ResponsesRequestDecoder(RequestDecoder):
    __slots__ = ()

    def decode(self, body: bytes) -> Conversation:
        given = members.of_body(body)
        _check_state(given)
        losses = Losses()
        settings, tools = ResponsesSettingsDecoder(given, losses), ResponsesToolsDecoder(losses)
        cache, ttl = settings.caching()
        tools.add_sent(given)
        decoder = ResponsesInputDecoder(ResponsesContentDecoder(losses, ttl), tools, losses)
        messages, updates = decoder.decode(given), decoder.updates
        settings.note_lost()
        losses.drop(*members.unknown(given, _KNOWN))
        conversation = Conversation(
            NAME,
            messages,
            tools.tools,
            tools.choice(given),
            settings.output_format(updates),
            members.integer(given, "max_output_tokens"),
            sampling=settings.sampling(),
            thinking=settings.thinking(updates),
            verbosity=settings.verbosity(),
            service_tier=members.text(given, "service_tier"),
            end_user=settings.end_user(),
            own_names={"user": "safety_identifier"} if given.get("safety_identifier") else {},
            tags=members.mapping(given, "metadata"),
            cache_key=members.text(given, "prompt_cache_key"),
            cache=cache,
            stream=bool(members.flag(given, "stream")),
            wants_usage=True,
            include=frozenset(members.texts(given, "include")),
            echo=echo_of(given, tools.sent),
        )
        conversation.dropped = list(losses.names)
        return conversation


def _check_state(body: JsonObject) -> None:
    """Raise Untranslatable for a request that needs what only OpenAI keeps."""
    background = members.flag(body, "background")
    for name, reason in _STATE.items():
        if background if name == "background" else body.get(name) is not None:
            raise Untranslatable(name, reason, code=UNSUPPORTED_STATE)
    if body.get("input") is None:
        raise WrongMember("input", "a string or an array")
