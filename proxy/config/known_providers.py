"""Table of known providers: base URL, variable of the key, and documentation.

A provider with one of these names needs no ``baseUrl`` in the configuration. Without a ``providers`` section, every
provider whose key variable is set is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct


class KnownProvider(Struct, frozen=True):
    """``key_variable`` is ``""`` for local servers without keys. ``source``: documentation page.

    ``other_paths``: further paths of the same host where the API is.
    """

    base_url: str
    key_variable: str
    source: str
    other_paths: tuple[str, ...] = ()


KNOWN_PROVIDERS: Final[Mapping[str, KnownProvider]] = {
    "openai": KnownProvider(
        "https://api.openai.com/v1", "OPENAI_API_KEY", "https://platform.openai.com/docs/api-reference/introduction"
    ),
    "openrouter": KnownProvider(
        "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "https://openrouter.ai/docs/quickstart"
    ),
    "deepseek": KnownProvider(
        "https://api.deepseek.com", "DEEPSEEK_API_KEY", "https://api-docs.deepseek.com/", ("/v1", "/beta")
    ),
    "groq": KnownProvider("https://api.groq.com/openai/v1", "GROQ_API_KEY", "https://console.groq.com/docs/openai"),
    "mistral": KnownProvider("https://api.mistral.ai/v1", "MISTRAL_API_KEY", "https://docs.mistral.ai/api/"),
    "together": KnownProvider(
        "https://api.together.xyz/v1", "TOGETHER_API_KEY", "https://docs.together.ai/docs/openai-api-compatibility"
    ),
    "fireworks": KnownProvider(
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
    ),
    "xai": KnownProvider("https://api.x.ai/v1", "XAI_API_KEY", "https://docs.x.ai/docs/api-reference"),
    "cerebras": KnownProvider(
        "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "https://inference-docs.cerebras.ai/resources/openai"
    ),
    # Chat has no version in its path; the Responses API is below /v1.
    "perplexity": KnownProvider(
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        "https://docs.perplexity.ai/docs/grounded-llm/openai-compatibility",
        ("/v1",),
    ),
    "nvidia": KnownProvider(
        "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", "https://docs.api.nvidia.com/nim/reference/llm-apis"
    ),
    "deepinfra": KnownProvider(
        "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", "https://deepinfra.com/docs/openai_api"
    ),
    "sambanova": KnownProvider(
        "https://api.sambanova.ai/v1",
        "SAMBANOVA_API_KEY",
        "https://docs.sambanova.ai/docs/en/features/openai-compatibility",
    ),
    "moonshot": KnownProvider(
        "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "https://platform.moonshot.ai/docs/api/chat"
    ),
    # The coding plan has a path of its own on the same host.
    "zai": KnownProvider(
        "https://api.z.ai/api/paas/v4",
        "ZAI_API_KEY",
        "https://docs.z.ai/guides/develop/openai/python",
        ("/api/coding/paas/v4", "/api/v1"),
    ),
    # The international region; mainland China is dashscope.aliyuncs.com with the same path.
    "dashscope": KnownProvider(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
    ),
    "ollama": KnownProvider("http://127.0.0.1:11434/v1", "", "https://docs.ollama.com/openai"),
    "vllm": KnownProvider(
        "http://127.0.0.1:8000/v1", "", "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html"
    ),
    "lmstudio": KnownProvider("http://127.0.0.1:1234/v1", "", "https://lmstudio.ai/docs/app/api/endpoints/openai"),
    # llama-server listens on the gateway's own default port; its README serves every path without /v1 as well.
    "llamacpp": KnownProvider(
        "http://127.0.0.1:8080/v1",
        "",
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        ("",),
    ),
}

NONE_USABLE: Final = (
    "No provider is usable: set the key of a known one (such as OPENAI_API_KEY), configure providers,"
    " or set demo: auto."
)
HOSTED: Final = {name: known for name, known in KNOWN_PROVIDERS.items() if known.key_variable}


def implied() -> dict[str, Any]:
    """The ``providers`` section for a configuration without one: all hosted providers, with key references."""
    return {name: {"apiKey": _reference(known), "baseUrl": known.base_url} for name, known in HOSTED.items()}


def completed(providers: Any) -> Any:
    """A ``providers`` section with addresses and keys filled in for known names.

    A key variable is used only together with the known address, so that a key is never sent anywhere else.
    """
    if not isinstance(providers, dict):
        return providers
    return {name: _completed(KNOWN_PROVIDERS.get(name), provider) for name, provider in providers.items()}


def _completed(known: KnownProvider | None, provider: Any) -> Any:
    given = {} if provider is None else provider
    if known is None or not isinstance(given, dict):
        return given
    if given.get("baseUrl") or given.get("baseUrls"):
        return provider
    filled = {**given, "baseUrl": known.base_url}
    if known.key_variable and not _has_credential(given):
        filled["apiKey"] = _reference(known)
    return filled


def _has_credential(provider: Mapping[Any, Any]) -> bool:
    headers = provider.get("headers")
    named = {str(name).lower() for name in headers} if isinstance(headers, dict) else set()
    return "apiKey" in provider or "apiKeys" in provider or "authorization" in named


def _reference(known: KnownProvider) -> str:
    return f"${{{known.key_variable}}}"
