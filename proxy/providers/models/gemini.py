"""Google's models.

Thinking and most tokens of an answer: https://ai.google.dev/gemini-api/docs/thinking and
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models (a page and a guide for each model). Penalties:
https://github.com/vercel/ai/issues/8943. Log probabilities: https://github.com/BerriAI/litellm/issues/31600,
https://github.com/vercel/ai/issues/5418. Sampling and prefill: https://ai.google.dev/gemini-api/docs/latest-model, and
https://github.com/Zoo-Code-Org/Zoo-Code/issues/1052. Candidates:
https://github.com/googleapis/js-genai/issues/1609. All as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from proxy.dialects.translation.model_facts import ModelFacts

_PENALTIES: Final = frozenset({"presence_penalty", "frequency_penalty"})
_TO_HIGH: Final = ("low", "medium", "high")
_FROM_MINIMAL: Final = ("minimal", *_TO_HIGH)

# Each generation as it differs from the one before.
_2_0: Final = ModelFacts(
    output_tokens=8192,
    efforts=(),
    prefill=True,
    late_system=False,
    thinking="none",
    json_schemas=False,  # https://github.com/envoyproxy/ai-gateway/pull/1512
    format_with_tools=False,  # https://github.com/symfony/ai/issues/1777
    fetches=False,  # https://ai.google.dev/gemini-api/docs/file-input-methods
    media_in_results=False,
    candidates=8,
)
_2_5: Final = replace(
    _2_0,
    output_tokens=65_535,
    efforts=_FROM_MINIMAL,
    thinking="budget",
    json_schemas=True,
    fetches=True,
    refuses=_PENALTIES | {"logprobs"},
)
_2_5_PRO: Final = replace(_2_5, thinking_off="no", budgets=(128, 32_768))
_2_5_FLASH: Final = replace(_2_5, efforts=("none", *_FROM_MINIMAL), budgets=(1, 24_576))
_2_5_FLASH_LITE: Final = replace(_2_5_FLASH, default_effort="none", budgets=(512, 24_576))
# Thinking has levels from here on, and cannot be turned off. Calls need signatures. Several candidates are refused.
_3_PRO: Final = replace(
    _2_5,
    output_tokens=65_536,
    efforts=("low", "high"),
    default_effort="high",
    thinking="adaptive",
    thinking_off="no",
    thought_signatures=True,
    format_with_tools=True,
    media_in_results=True,
    candidates=1,
)
_3_FLASH: Final = replace(_3_PRO, efforts=_FROM_MINIMAL)
_3_1_PRO: Final = replace(_3_PRO, efforts=_TO_HIGH)
_3_1_FLASH_LITE: Final = replace(_3_FLASH, default_effort="minimal")
_3_5_FLASH: Final = replace(_3_FLASH, default_effort="medium")
# Sampling is ignored, and prefill refused, from here on.
_3_5_FLASH_LITE: Final = replace(_3_1_FLASH_LITE, sampling=False, prefill=False)
_3_6_FLASH: Final = replace(_3_5_FLASH, sampling=False, prefill=False)
_3_7_FLASH: Final = replace(_3_6_FLASH, efforts=_TO_HIGH)
# An answer that reaches 65,536 tokens ends with CONTINUATION.
_4_ARGON: Final = replace(_3_7_FLASH, output_tokens=1_048_576)
_4_HYDROGEN: Final = replace(_4_ARGON, efforts=(*_TO_HIGH, "xhigh"), default_effort="high")

NEWEST: Final = replace(_4_ARGON, output_tokens=0, default_effort="")

GEMINI: Final[Mapping[str, ModelFacts]] = {
    "gemini-2.0-flash": _2_0,
    "gemini-2.0-flash-lite": _2_0,
    "gemini-2.5-pro": _2_5_PRO,
    "gemini-2.5-flash": _2_5_FLASH,
    "gemini-2.5-flash-image": replace(_2_5, output_tokens=32_768, efforts=(), thinking="none", candidates=1),
    "gemini-2.5-flash-lite": _2_5_FLASH_LITE,
    "gemini-3-pro": _3_PRO,
    "gemini-3-flash": _3_FLASH,
    "gemini-3.1-pro": _3_1_PRO,
    "gemini-3.1-flash-lite": _3_1_FLASH_LITE,
    "gemini-3.5-flash": _3_5_FLASH,
    "gemini-3.5-flash-lite": _3_5_FLASH_LITE,
    "gemini-3.6-flash": _3_6_FLASH,
    "gemini-3.7-flash": _3_7_FLASH,
    "gemini-3.8-flash": _3_7_FLASH,
    "gemini-4-argon": _4_ARGON,
    "gemini-4-carbon": _4_ARGON,
    "gemini-4-hydrogen": _4_HYDROGEN,
    "gemini-4-neon": _4_HYDROGEN,
}

# By the beginning of the name, for versions that are not above: what holds for all models of the generation.
GENERATIONS: Final[Mapping[str, ModelFacts]] = {
    "gemini-1.": _2_0,
    "gemini-2.0-": _2_0,
    "gemini-2.5-": replace(_2_5, thinking_off="no", budgets=(512, 24_576)),
    "gemini-3-": _3_PRO,
    "gemini-3.1-": replace(_3_PRO, default_effort=""),
    "gemini-": NEWEST,
}

# Any other model at Google's APIs, such as a tuned one or Gemma: no setting that one of them refuses.
UNKNOWN_AT_GOOGLE: Final = replace(_2_5, output_tokens=0, efforts=(), thinking="none", prefill=False, candidates=1)
