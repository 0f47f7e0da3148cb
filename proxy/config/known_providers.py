"""Table of known providers: base URL, variable of the key, and documentation.

A provider with one of these names needs no ``baseUrl`` in the configuration. Without a ``providers`` section, every
provider whose key variable is set is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from proxy.config.patches import PatchName


class KnownProvider(Struct, frozen=True):
    """``key_variable`` is ``""`` for local servers without keys. ``source``: documentation page.

    ``other_paths``: further paths of the same host where the API is. ``dialects``: as in a provider's settings.
    """

    base_url: str
    key_variable: str
    source: str
    other_paths: tuple[str, ...] = ()
    dialects: Mapping[str, Mapping[str, object]] = {}


def _at(base_url: str) -> dict[str, object]:
    return {"baseUrl": base_url}


def _patched(*names: PatchName) -> dict[str, object]:
    return {"patches": list(names)}


_HERE: Final[Mapping[str, object]] = {}  # at the provider's own base URL
_NOT: Final[Mapping[str, object]] = {"enabled": False}

# The comments name the reports of refusals that the patches avoid.
_NO_DEVELOPER: Final[Mapping[str, object]] = _patched("developer-as-system")


KNOWN_PROVIDERS: Final[Mapping[str, KnownProvider]] = {
    "openai": KnownProvider(
        "https://api.openai.com/v1", "OPENAI_API_KEY", "https://platform.openai.com/docs/api-reference/introduction"
    ),
    "anthropic": KnownProvider(
        "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "https://docs.claude.com/en/api/overview"
    ),
    "gemini": KnownProvider(
        "https://generativelanguage.googleapis.com/v1beta",
        "GEMINI_API_KEY",
        "https://ai.google.dev/gemini-api/docs/openai",
        ("/v1beta/openai", "/v1"),
        {"chat": _at("https://generativelanguage.googleapis.com/v1beta/openai")},
    ),
    "openrouter": KnownProvider(
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "https://openrouter.ai/docs/quickstart",
        dialects={"messages": _HERE},
    ),
    "deepseek": KnownProvider(
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        "https://api-docs.deepseek.com/",
        ("/v1", "/beta"),
        {
            "messages": _at("https://api.deepseek.com/anthropic/v1"),
            # https://github.com/earendil-works/pi/issues/1048, https://github.com/anomalyco/opencode/issues/24722
            "chat": _patched("developer-as-system", "reasoning-with-calls"),
            "responses": _NO_DEVELOPER,  # https://github.com/EKKOLearnAI/hermes-studio/issues/1926
        },
    ),
    "groq": KnownProvider("https://api.groq.com/openai/v1", "GROQ_API_KEY", "https://console.groq.com/docs/openai"),
    # Refuses every member and role that it does not know: https://github.com/editor-code-assistant/eca/issues/231 (its
    # limit), https://github.com/avante-corp/avante.nvim/issues/2347 (stream options), and ids of another form:
    # https://github.com/langchain-ai/langchain/pull/24668. Its SDK has its roles, and ``random_seed``.
    "mistral": KnownProvider(
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        "https://docs.mistral.ai/api/",
        dialects={
            "responses": _NOT,
            "chat": _patched("developer-as-system", "max-tokens", "no-stream-options", "random-seed", "short-tool-ids"),
        },
    ),
    "together": KnownProvider(
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        "https://docs.together.ai/docs/openai-api-compatibility",
        dialects={"responses": _NOT},
    ),
    "fireworks": KnownProvider(
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        dialects={"messages": _HERE},
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
        {"responses": _at("https://api.perplexity.ai/v1")},
    ),
    "nvidia": KnownProvider(
        "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", "https://docs.api.nvidia.com/nim/reference/llm-apis"
    ),
    "deepinfra": KnownProvider(
        "https://api.deepinfra.com/v1/openai",
        "DEEPINFRA_API_KEY",
        "https://deepinfra.com/docs/openai_api",
        dialects={"chat": _NO_DEVELOPER},  # https://github.com/earendil-works/pi/pull/1578
    ),
    "sambanova": KnownProvider(
        "https://api.sambanova.ai/v1",
        "SAMBANOVA_API_KEY",
        "https://docs.sambanova.ai/docs/en/features/openai-compatibility",
    ),
    "moonshot": KnownProvider(
        "https://api.moonshot.ai/v1",
        "MOONSHOT_API_KEY",
        "https://platform.moonshot.ai/docs/api/chat",
        dialects={
            "messages": _at("https://api.moonshot.ai/anthropic/v1"),
            # https://github.com/openclaw/openclaw/issues/8579, https://github.com/anomalyco/opencode/issues/25758
            "chat": _patched("developer-as-system", "reasoning-with-calls"),
        },
    ),
    "minimax": KnownProvider(
        "https://api.minimax.io/v1",
        "MINIMAX_API_KEY",
        "https://platform.minimax.io/docs/api-reference/text-openai-api",
        dialects={
            "messages": _at("https://api.minimax.io/anthropic/v1"),
            "chat": _NO_DEVELOPER,  # https://github.com/openclaw/openclaw/issues/3022
        },
    ),
    # The coding plan has a path of its own on the same host.
    "zai": KnownProvider(
        "https://api.z.ai/api/paas/v4",
        "ZAI_API_KEY",
        "https://docs.z.ai/guides/develop/openai/python",
        ("/api/coding/paas/v4", "/api/v1"),
        {
            "messages": _at("https://api.z.ai/api/anthropic/v1"),
            "responses": _NOT,
            "chat": _NO_DEVELOPER,  # https://github.com/openclaw/openclaw/issues/23115
        },
    ),
    # The international region; mainland China is dashscope.aliyuncs.com with the same path.
    "dashscope": KnownProvider(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        dialects={
            "messages": _at("https://dashscope-intl.aliyuncs.com/apps/anthropic/v1"),
            "responses": _at("https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1"),
            "chat": _NO_DEVELOPER,  # https://github.com/proma-ai/Proma/issues/1496
        },
    ),
    "ollama": KnownProvider(
        "http://127.0.0.1:11434/v1", "", "https://docs.ollama.com/openai", dialects={"messages": _HERE}
    ),
    "vllm": KnownProvider(
        "http://127.0.0.1:8000/v1",
        "",
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        dialects={"messages": _HERE},
    ),
    "sglang": KnownProvider(
        "http://127.0.0.1:30000/v1",
        "",
        "https://docs.sglang.ai/basic_usage/openai_api.html",
        dialects={"messages": _HERE},
    ),
    "lmstudio": KnownProvider(
        "http://127.0.0.1:1234/v1",
        "",
        "https://lmstudio.ai/docs/app/api/endpoints/openai",
        dialects={"messages": _HERE},
    ),
    # llama-server listens on the gateway's own default port; its README serves every path without /v1 as well.
    "llamacpp": KnownProvider(
        "http://127.0.0.1:8080/v1",
        "",
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        ("",),
        # Builds until 2026 refuse other tools: https://github.com/ggml-org/llama.cpp/issues/20156
        {"messages": _HERE, "responses": _patched("function-tools-only")},
    ),
}

NONE_USABLE: Final = (
    "No provider is usable: set the key of a known one (such as OPENAI_API_KEY), configure providers,"
    " or set demo: auto."
)
HOSTED: Final = {name: known for name, known in KNOWN_PROVIDERS.items() if known.key_variable}


def implied() -> dict[str, Any]:
    """The ``providers`` section for a configuration without one: all hosted providers, with key references."""
    return {
        name: {"apiKey": _reference(known), "baseUrl": known.base_url, "dialects": dict(known.dialects)}
        for name, known in HOSTED.items()
    }


def completed(providers: Any) -> Any:
    """A ``providers`` section with addresses, dialects and keys filled in for known names.

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
        return _with_dialects(given, _dialects_at(known, given))
    filled = {**_with_dialects(given, known.dialects), "baseUrl": known.base_url}
    if known.key_variable and not _has_credential(given):
        filled["apiKey"] = _reference(known)
    return filled


def _dialects_at(known: KnownProvider, given: Mapping[Any, Any]) -> Mapping[str, Mapping[str, object]]:
    """The known dialects that the configured address has as well.

    A local server has them at any address. A hosted provider has those with an address of their own at all its paths,
    and needs the patches there.
    """
    if not known.key_variable:
        return known.dialects
    address = given.get("baseUrl")
    if address == known.base_url:
        return known.dialects
    if not isinstance(address, str) or _host(address) != _host(known.base_url):
        return {}
    return {name: entry for name, entry in known.dialects.items() if "baseUrl" in entry or "patches" in entry}


def _with_dialects(given: Any, known: Mapping[str, Mapping[str, object]]) -> Any:
    """``given`` with the known dialects that it does not configure itself."""
    own = given.get("dialects")
    if not known or (own is not None and not isinstance(own, dict)):
        return given
    return {**given, "dialects": {**known, **(own or {})}}


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _has_credential(provider: Mapping[Any, Any]) -> bool:
    headers = provider.get("headers")
    named = {str(name).lower() for name in headers} if isinstance(headers, dict) else set()
    return "apiKey" in provider or "apiKeys" in provider or "authorization" in named


def _reference(known: KnownProvider) -> str:
    return f"${{{known.key_variable}}}"
