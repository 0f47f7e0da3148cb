"""What the model of a deployment takes: by the operator's settings, else by the tables of models and servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, structs

from proxy.config.provider_schema import Capabilities, ModelSettings, WireDialect
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import ConfigError
from proxy.providers.models.claude import CLAUDE
from proxy.providers.models.families import FAMILIES, OTHERS, UNKNOWN
from proxy.providers.models.gemini import GEMINI, UNKNOWN_AT_GOOGLE
from proxy.providers.models.gpt import GPT, UNKNOWN_AT_OPENAI, WITH_BREAKPOINTS
from proxy.providers.models.names import looked_up, short_name
from proxy.providers.models.servers import SERVERS, server_name
from proxy.providers.provider import Site

_KNOWN: Final[Mapping[str, ModelFacts]] = {**CLAUDE, **GPT, **GEMINI, **OTHERS}
_SETTINGS: Final = tuple(name for name in Capabilities.__struct_fields__ if name != "like")


def facts_of(site: Site, wire: WireDialect, model: ModelSettings | None, upstream: str) -> ModelFacts:
    """The facts of the model ``upstream`` at a site, for requests that are translated to the dialect ``wire``.

    An unknown model gets no setting that another model of its kind refuses. Raises ConfigError if
    ``capabilities.like`` names no known model.
    """
    own = Capabilities() if model is None else model.capabilities
    server = server_name(site.provider.name, site.base_url)
    facts = looked_up(own.like or upstream, _KNOWN)
    if facts is None and own.like:
        raise ConfigError([f"models: {upstream}: capabilities.like: {own.like!r} is not a known model"])
    name = short_name(own.like or upstream)
    if facts is None:
        facts = next((each for beginning, each in FAMILIES.items() if name.startswith(beginning)), None)
    if facts is None:
        facts = _unknown(server, wire)
    facts = structs.replace(facts, **_of_wire(facts, server, wire, name))
    if wire == "messages" and (site.kind.cloud or server == "azure"):
        facts = structs.replace(facts, late_system=False)  # documented for Anthropic's own API only
    if wire != "gemini":
        facts = structs.replace(facts, fetches=_takes_addresses(server, wire, cloud=site.kind.cloud))
    return facts if model is None else structs.replace(facts, **_set(model))


def prefers_responses(site: Site, model: ModelSettings | None, upstream: str) -> bool:
    """Whether the model takes tools beside reasoning in the Responses API only, and not in chat."""
    chat = site.speaking.get("chat")
    return chat is not None and facts_of(chat, "chat", model, upstream).effort_with_tools != "any"


def _unknown(server: str, wire: WireDialect) -> ModelFacts:
    if wire == "gemini":
        return UNKNOWN_AT_GOOGLE
    return UNKNOWN_AT_OPENAI if server in ("openai", "azure") else UNKNOWN


def _of_wire(facts: ModelFacts, server: str, wire: WireDialect, name: str) -> Mapping[str, Any]:
    """What differs for a model at a server for this dialect."""
    if wire == "chat":
        return _of_chat(facts, server, name)
    if wire == "gemini" and server == "vertex":
        return _of_vertex(facts, name)
    return _of_responses(server, name) if wire == "responses" else _of_others(wire, name)


def _of_chat(facts: ModelFacts, server: str, name: str) -> Mapping[str, Any]:
    """What differs for a model at a server for chat."""
    found = {"thought_signatures": False} | dict(SERVERS.get(server, {}))
    if not found.get("openai"):
        return found | {"effort_with_tools": "any"}  # others serve the same models in their own ways
    if facts.efforts is not None:  # the Responses API takes ``max``: https://github.com/livekit/agents/pull/7169
        found["efforts"] = tuple(effort for effort in facts.efforts if effort != "max")
    if name in WITH_BREAKPOINTS:
        found["cache_marks"] = "breakpoint"
    return found


def _of_vertex(facts: ModelFacts, name: str) -> Mapping[str, Any]:
    """What differs for a model at Vertex AI.

    Candidates: https://docs.cloud.google.com/gemini-enterprise-agent-platform/reference/models/inference, and
    https://github.com/googleapis/python-genai/issues/1723.
    """
    found: dict[str, Any] = {"streams_candidates": False}
    if name.startswith("gemini-") and "image" not in name:
        found["candidates"] = 8
    if name.startswith("gemini-2."):
        found["refuses"] = facts.refuses - {"logprobs"}
    return found


def _of_responses(server: str, name: str) -> Mapping[str, Any]:
    """What differs for a model at a server for the Responses API."""
    found: dict[str, Any] = {"effort_with_tools": "any"}
    if server in ("openai", "azure"):
        found["openai"] = True
        if name in WITH_BREAKPOINTS:
            found["cache_marks"] = "breakpoint"
    return found


def _of_others(wire: WireDialect, name: str) -> Mapping[str, Any]:
    """What differs for a model at a server for another dialect."""
    found: dict[str, Any] = {"effort_with_tools": "any"}
    if wire == "messages" and not name.startswith("claude-"):
        # What is only compatible with Anthropic's API may ignore ``output_config.format``.
        return found | {"structured": False}
    return found


def _takes_addresses(server: str, wire: WireDialect, *, cloud: bool) -> bool:
    """Whether a server takes addresses of content. In Gemini's API that depends on the model."""
    # https://github.com/anthropics/anthropic-sdk-typescript/issues/1038, https://github.com/BerriAI/litellm/pull/15408
    claude_in_a_cloud = wire == "messages" and cloud
    return bool(SERVERS.get(server, {}).get("fetches", True)) and not claude_in_a_cloud


def _set(model: ModelSettings) -> Mapping[str, Any]:
    """What the operator says of a model."""
    found = {name: value for name in _SETTINGS if (value := getattr(model.capabilities, name)) is not UNSET}
    if "efforts" in found:
        found["efforts"] = tuple(found["efforts"])
    if model.prefill:
        found["prefill"] = True
    if model.max_output_tokens:
        found["output_tokens"] = model.max_output_tokens
    return found
