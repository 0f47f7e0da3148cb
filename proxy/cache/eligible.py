"""Which requests are cached at all. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from proxy.config.cache_schema import CacheSettings
from proxy.dialects.call import Call
from proxy.routing.endpoints import Endpoint

Reason = Literal["endpoint", "large", "temperature", "choices", "tools", "stored", "state"]

MOST_BODY: Final = 1024 * 1024  # bytes; hashing more would hold the loop for a millisecond

# Members by which a model may call tools, or search: what they find changes, and what they do is to be done each time.
_TOOLS: Final = frozenset(
    ("tools", "functions", "mcp_servers", "web_search_options", "plugins", "container", "cachedContent")
)
# The answer depends on what the provider keeps and changes with each request, or comes later.
_STATE: Final = frozenset(("conversation", "background"))
_EMPTY: Final = (b"null", b"[]", b"{}", b"false")
_LONGEST_EMPTY: Final = 5  # bytes
_RARE: Final = _TOOLS | _STATE
_CONFIGS: Final = ("generationConfig", "generation_config")  # of Gemini's calls
_MOST_CONFIG: Final = 256 * 1024  # bytes of it that are decoded


class _Sampling(Struct):
    temperature: float | None = None


_number = msgspec.json.Decoder(float | None).decode
_sampling = msgspec.json.Decoder(_Sampling).decode


def refusal(endpoint: Endpoint, call: Call, settings: CacheSettings, allow: Collection[str]) -> Reason | None:
    """Why the answer to a request is not cached; ``None``: it may be. ``allow``: of the settings."""
    if endpoint.answer != "json" or endpoint.media:
        return "endpoint"
    values = call.members.values
    if len(call.body) > MOST_BODY:
        return "large"
    if not _RARE.isdisjoint(values):
        if _has_any(values, _STATE):
            return "state"
        if "tools" not in allow and _has_any(values, _TOOLS):
            return "tools"
    if not (endpoint.replayable or call.stateless or "stored" in allow):
        return "stored"
    if call.choices > 1 and "choices" not in allow:
        return "choices"
    if endpoint.in_path or "temperature" in values:
        return None if _is_cool(endpoint, call, settings.max_temperature) else "temperature"
    return None


def _has_any(values: Mapping[str, msgspec.Raw], names: frozenset[str]) -> bool:
    """Whether one of the members is there, and not empty."""
    for name in names & values.keys():
        raw = values[name]
        if len(raw) > _LONGEST_EMPTY or bytes(raw) not in _EMPTY:
            return True
    return False


def _is_cool(endpoint: Endpoint, call: Call, bound: float) -> bool:
    """Whether the temperature is within ``bound``. A value that is no number is not."""
    values = call.members.values
    try:
        if endpoint.in_path:
            for name in _CONFIGS:
                raw = values.get(name)
                if raw is not None and bytes(raw) != b"null":
                    if len(raw) > _MOST_CONFIG:
                        return False
                    temperature = _sampling(raw).temperature
                    if temperature is not None and temperature > bound:
                        return False
            return True
        temperature = _number(values["temperature"])
    except msgspec.DecodeError:  # of a wrong type, too
        return False
    return temperature is None or temperature <= bound
