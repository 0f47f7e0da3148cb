"""What clients of the Gemini API call the settings that encoders name as chat does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GEMINI_NAMES: Final[Mapping[str, str]] = {
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "seed": "generationConfig.seed",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "metadata": "labels",
    "service_tier": "serviceTier",
    "tool_choice": "toolConfig.functionCallingConfig",
}
