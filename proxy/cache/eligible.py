"""Which requests are cached at all. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from proxy.config.cache_schema import CacheSettings
from proxy.dialects.call import Call
from proxy.routing.endpoints import Endpoint

Reason = Literal["endpoint", "temperature", "choices", "tools", "stored", "state"]
Check: TypeAlias = Callable[[Call], Reason | None]  # why the answer to a request is not cached; ``None``: it may be

MOST_BODY: Final = 1024 * 1024  # bytes; hashing more would hold the loop for a millisecond

# Members by which a model may call tools, or search. Results change, and actions must happen for each request.
_TOOLS: Final = frozenset(
    (
        *("tools", "functions", "mcp_servers", "web_search_options", "plugins", "container"),
        *("search_parameters", "enable_search"),  # of xAI and of Alibaba: the web
        *("cachedContent", "cached_content"),  # may have tools; Google takes both spellings
    )
)
# The answer depends on what the provider keeps and changes with each request, or comes later.
_STATE: Final = frozenset(("conversation", "background", "deferred"))
_TEMPLATE: Final = frozenset(("prompt",))  # of the Responses API: a template that the provider keeps
_EMPTY: Final = (b"null", b"[]", b"{}", b"false")
_LONGEST_EMPTY: Final = 5  # bytes
_CHOICES: Final = frozenset(("n", "prompt"))  # members of OpenAI's calls by which there may be several
_CONFIGS: Final = ("generationConfig", "generation_config")  # of Gemini's calls
_MOST_CONFIG: Final = 256 * 1024  # bytes of it that are decoded


class _Sampling(Struct):
    temperature: float | None = None


_number = msgspec.json.Decoder(float | None).decode
_sampling = msgspec.json.Decoder(_Sampling).decode


def check_of(
    endpoint: Endpoint, names: Collection[str], settings: CacheSettings, allow: Collection[str]
) -> Check | None:
    """What decides whether requests with members of these names are cached; ``None``: they are.

    ``allow``: of the settings. Requests of more than MOST_BODY never are.
    """
    if endpoint.answer != "json" or endpoint.media:
        return _never
    checks: list[Check] = []
    if not _STATE.isdisjoint(names):
        checks.append(_keeps_state)
    if "tools" not in allow and not _TOOLS.isdisjoint(names):
        checks.append(_has_tools)
    if not endpoint.replayable and "stored" not in allow:
        checks.append(_is_stored)
    if not endpoint.replayable and "prompt" in names:
        checks.append(_has_template)
    if "choices" not in allow and (endpoint.in_path or not _CHOICES.isdisjoint(names)):
        checks.append(_has_choices)
    if endpoint.in_path:
        checks.append(partial(_configured_too_hot, settings.max_temperature))
    elif "temperature" in names:
        checks.append(partial(_too_hot, settings.max_temperature))
    return partial(_first_reason, checks) if len(checks) > 1 else checks[0] if checks else None


def _first_reason(checks: Iterable[Check], call: Call) -> Reason | None:
    for check in checks:
        reason = check(call)
        if reason is not None:
            return reason
    return None


def _never(call: Call) -> Reason:
    return "endpoint"


def _keeps_state(call: Call) -> Reason | None:
    return "state" if _has_any(call.members.values, _STATE) else None


def _has_tools(call: Call) -> Reason | None:
    return "tools" if _has_any(call.members.values, _TOOLS) else None


def _is_stored(call: Call) -> Reason | None:
    return None if call.stateless else "stored"


def _has_template(call: Call) -> Reason | None:
    return "state" if _has_any(call.members.values, _TEMPLATE) else None


def _has_choices(call: Call) -> Reason | None:
    return "choices" if call.choices > 1 else None


def _has_any(values: Mapping[str, msgspec.Raw], names: frozenset[str]) -> bool:
    """Whether one of the members is there, and not empty."""
    for name in names.intersection(values):
        raw = values[name]
        if len(raw) > _LONGEST_EMPTY or bytes(raw) not in _EMPTY:
            return True
    return False


def _too_hot(bound: float, call: Call) -> Reason | None:
    """A temperature that is no number counts as too high."""
    try:
        temperature = _number(call.members.values["temperature"])
    except msgspec.DecodeError:  # of a wrong type, too
        return "temperature"
    return None if temperature is None or temperature <= bound else "temperature"


def _configured_too_hot(bound: float, call: Call) -> Reason | None:
    """The same for calls of Gemini's API."""
    values = call.members.values
    for name in _CONFIGS:
        raw = values.get(name)
        if raw is None or bytes(raw) == b"null":
            continue
        try:
            temperature = _sampling(raw).temperature if len(raw) <= _MOST_CONFIG else math.inf
        except msgspec.DecodeError:
            return "temperature"
        if temperature is not None and temperature > bound:
            return "temperature"
    return None
