"""What servers for chat take, whatever the model, by the names of known providers.

Names of members are those of Chat Completions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from proxy.config.known_providers import HOSTED, KNOWN_PROVIDERS
from proxy.config.provider_schema import AZURE_HOSTS

_OPENAI: Final[Mapping[str, Any]] = {"openai": True, "limit_name": "max_completion_tokens"}
_TOP_K: Final = frozenset({"top_k"})
_GOOGLE: Final[Mapping[str, Any]] = {"thought_signatures": True}

# Values are fields of ``ModelFacts``.
SERVERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    # https://ai.google.dev/gemini-api/docs/thought-signatures
    "gemini": _GOOGLE,
    "vertex": _GOOGLE,
    # https://openrouter.ai/docs/api-reference/parameters, .../use-cases/reasoning-tokens (preserving reasoning),
    # .../features/prompt-caching. It adapts an effort to the model, and leaves out what the model does not take.
    "openrouter": {
        "takes": _TOP_K | {"verbosity"},
        "efforts": None,
        "returned_reasoning": "yes",
        "reasoning_name": "reasoning",
        "cache_marks": "cache_control",
    },
    # https://api-docs.deepseek.com/guides/thinking_mode, .../guides/json_mode (no schemas)
    "deepseek": {"returned_reasoning": "calls", "toggle": "thinking", "structured": False},
    # https://github.com/anomalyco/opencode/issues/25758, https://platform.moonshot.ai/docs/api/chat
    "moonshot": {"takes": frozenset({"prompt_cache_key"}), "returned_reasoning": "calls", "toggle": "thinking"},
    # https://docs.z.ai/guides/capabilities/thinking-mode
    "zai": {"returned_reasoning": "yes", "toggle": "thinking"},
    # https://www.alibabacloud.com/help/en/model-studio/deep-thinking, .../context-cache
    "dashscope": {"takes": _TOP_K, "toggle": "enable_thinking", "cache_marks": "cache_control"},
    # https://github.com/mistralai/client-python (it refuses members that are not in its SDK)
    "mistral": {
        "takes": _TOP_K | {"prompt_cache_key", "metadata"},
        "refuses": frozenset({"user", "logit_bias"}),
        "returned_reasoning": "no",
    },
    # https://console.groq.com/docs/openai (unsupported features); unknown members of messages are refused
    "groq": {"refuses": frozenset({"logit_bias", "logprobs", "n"}), "returned_reasoning": "no"},
    # https://inference-docs.cerebras.ai/resources/openai
    "cerebras": {
        "refuses": frozenset({"frequency_penalty", "presence_penalty", "logit_bias"}),
        "returned_reasoning": "no",
    },
    # https://docs.x.ai/docs/guides/reasoning
    "xai": {
        "refuses": frozenset({"presence_penalty", "frequency_penalty", "stop"}),
        "returned_reasoning": "no",
        "limits_reasoning": False,
    },
    "together": {"takes": _TOP_K, "reasoning_name": "reasoning"},
    "fireworks": {"takes": _TOP_K},
    "deepinfra": {"takes": _TOP_K},
    "sambanova": {"takes": _TOP_K},
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html, .../features/reasoning_outputs
    "vllm": {"takes": _TOP_K, "reasoning_name": "reasoning"},
    "sglang": {"takes": _TOP_K},
    "lmstudio": {"takes": _TOP_K},
    "llamacpp": {"takes": _TOP_K},
    # https://docs.ollama.com/api/openai-compatibility (no addresses of images, and it ignores fields that it does not
    # list), .../anthropic-compatibility
    "ollama": {"refuses": frozenset({"n"}), "reasoning_name": "reasoning", "fetches": False},
}

_BY_HOST: Final = {urlsplit(known.base_url).hostname: name for name, known in HOSTED.items()}


def server_name(provider: str, base_url: str) -> str:
    """The name of the server in the table: that of a known provider or of a cloud; ``""``: it is not known.

    A local server is known by the name that the configuration gives it, and any other by its host.
    """
    if provider in KNOWN_PROVIDERS and provider not in HOSTED:
        return provider
    host = urlsplit(base_url).hostname or ""
    if host.endswith(AZURE_HOSTS):
        return "azure"
    if host.endswith(".api.openai.com"):  # a region: https://platform.openai.com/docs/guides/your-data
        return "openai"
    if host.endswith("aiplatform.googleapis.com"):
        return "vertex"
    return _BY_HOST.get(host, "")
