"""OpenAI's models.

Efforts and most tokens of an answer: https://developers.openai.com/api/docs/models (a page for each model). Sampling:
https://developers.openai.com/api/docs/guides/latest-model ("Parameter compatibility"). Tools beside an effort:
https://developers.openai.com/api/docs/guides/migrate-to-responses, and https://github.com/BerriAI/litellm/pull/34569
for a request that names no effort. All as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from proxy.dialects.translation.model_facts import ModelFacts

_TO_HIGH: Final = ("low", "medium", "high")
_TO_XHIGH: Final = (*_TO_HIGH, "xhigh")
_TO_MAX: Final = (*_TO_XHIGH, "max")

# Models that do not reason. JSON schemas came with gpt-4o-2024-08-06.
_3_5: Final = ModelFacts(output_tokens=4096, efforts=(), structured=False)
_4O: Final = ModelFacts(output_tokens=16_384, efforts=())
_4_1: Final = replace(_4O, output_tokens=32_768)
# Models that reason refuse sampling, but for the effort ``none``.
_O: Final = ModelFacts(output_tokens=100_000, efforts=_TO_HIGH, default_effort="medium", sampling=False)
_5: Final = replace(_O, output_tokens=128_000, efforts=("minimal", *_TO_HIGH))
_5_CODEX: Final = replace(_5, efforts=_TO_HIGH)
_5_1: Final = replace(_5, efforts=("none", *_TO_HIGH), default_effort="none", sampling_at_none=True)
_5_1_CHAT: Final = replace(_5, output_tokens=16_384, efforts=("medium",))
_5_2: Final = replace(_5_1, efforts=("none", *_TO_XHIGH))
_5_2_CODEX: Final = replace(_5, efforts=_TO_XHIGH)
_PRO: Final = replace(_5, efforts=("medium", "high", "xhigh"), effort_with_tools="no")
_5_4: Final = replace(_5_2, effort_with_tools="none")
_5_5: Final = replace(_5_4, default_effort="medium")
_5_6: Final = replace(_5_5, efforts=("none", *_TO_MAX))
_6_WITHOUT_NONE: Final = replace(_5_6, efforts=_TO_MAX, sampling_at_none=False, effort_with_tools="no")
_OSS: Final = ModelFacts(efforts=_TO_HIGH, default_effort="medium")

GPT: Final[Mapping[str, ModelFacts]] = {
    "gpt-3.5-turbo": _3_5,
    "gpt-4": replace(_3_5, output_tokens=8192),
    "gpt-4-turbo": _3_5,
    "gpt-4o-2024-05-13": _3_5,
    "gpt-4o": _4O,
    "gpt-4o-mini": _4O,
    "chatgpt-4o": _4O,
    "gpt-4.1": _4_1,
    "gpt-4.1-mini": _4_1,
    "gpt-4.1-nano": _4_1,
    "o1": _O,
    "o1-mini": replace(_O, output_tokens=65_536, efforts=(), structured=False),
    "o1-preview": replace(_O, output_tokens=32_768, efforts=(), structured=False),
    "o1-pro": _O,
    "o3": _O,
    "o3-mini": _O,
    "o3-pro": _O,
    "o4-mini": _O,
    "gpt-5": _5,
    "gpt-5-mini": _5,
    "gpt-5-nano": _5,
    "gpt-5-chat": _4O,
    "gpt-5-codex": _5_CODEX,
    "gpt-5-pro": replace(_5, output_tokens=272_000, efforts=("high",), default_effort="high"),
    "gpt-5.1": _5_1,
    "gpt-5.1-chat": _5_1_CHAT,
    "gpt-5.1-codex": _5_CODEX,
    "gpt-5.1-codex-mini": _5_CODEX,
    "gpt-5.1-codex-max": _5_2_CODEX,
    "gpt-5.2": _5_2,
    "gpt-5.2-chat": _5_1_CHAT,
    "gpt-5.2-codex": _5_2_CODEX,
    "gpt-5.2-pro": replace(_PRO, structured=False),
    "gpt-5.3-chat": _5_1_CHAT,
    "gpt-5.3-codex": _5_2_CODEX,
    "gpt-5.3-codex-spark": _5_2_CODEX,
    "gpt-5.4": _5_4,
    "gpt-5.4-mini": _5_4,
    "gpt-5.4-nano": _5_4,
    "gpt-5.4-pro": replace(_PRO, structured=False),
    "gpt-5.5": _5_5,
    "gpt-5.5-pro": replace(_PRO, default_effort="high"),
    "gpt-5.6": _5_6,
    "gpt-5.6-sol": _5_6,
    "gpt-5.6-terra": _5_6,
    "gpt-5.6-luna": _5_6,
    "gpt-6-astra": _6_WITHOUT_NONE,
    "gpt-6-sol": _5_6,
    "gpt-6-luna": _5_6,
    "gpt-6.1-sol": _6_WITHOUT_NONE,
    "gpt-6.1-terra": _5_6,
    "gpt-oss": _OSS,
    "gpt-oss-20b": _OSS,
    "gpt-oss-120b": _OSS,
}

# Any other name at OpenAI or Azure, where a deployment may have any name: no setting that one of these models refuses.
UNKNOWN_AT_OPENAI: Final = ModelFacts(efforts=(), sampling=False)

# Breakpoints of the prompt cache came with GPT-5.6 (openai 3.57, ``PromptCacheBreakpoint``).
WITH_BREAKPOINTS: Final = frozenset(name for name in GPT if name.startswith(("gpt-5.6", "gpt-6")))
