"""Which prices of the catalog are for a provider, and the names under which it may list a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

# By host; the names are those of the catalog, which has them from genai-prices.
_HOSTS: Final = {
    "api.anthropic.com": "anthropic",
    "api.arcee.ai": "arcee",
    "api.avian.io": "avian",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.doubleword.ai": "doubleword",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.minimax.io": "minimax",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshotai",
    "api.novita.ai": "novita",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "together",
    "api.voyageai.com": "voyageai",
    "api.x.ai": "x-ai",
    "api.z.ai": "zai",
    "generativelanguage.googleapis.com": "google",
    "inference.baseten.co": "baseten",
    "open.bigmodel.cn": "zhipuai",
    "openrouter.ai": "openrouter",
}
_SUFFIXES: Final = (
    (".api.openai.com", "openai"),
    (".openai.azure.com", "azure"),
    (".cognitiveservices.azure.com", "azure"),
    (".services.ai.azure.com", "azure"),
    ("aiplatform.googleapis.com", "google"),
    (".rep.googleapis.com", "google"),
)
_is_bedrock = re.compile(r"(?:.+\.)?bedrock-(?:runtime|mantle)(?:-fips)?\..+").fullmatch
_is_vertex_region = re.compile(r".+-aiplatform\.googleapis\.com|.+\.rep\.googleapis\.com").fullmatch
VENDORS: Final = frozenset(filter(None, (*_HOSTS.values(), *(vendor for _, vendor in _SUFFIXES), "aws")))

_BEDROCK_REGION: Final = re.compile(r"^[a-z]{2,6}(?:-[a-z]{3})?\.(?=[a-z0-9]+\.)")
_BEDROCK_VENDOR: Final = re.compile(r"^[a-z0-9]+\.(?=[a-z])")
_THROUGHPUT: Final = re.compile(r":\d+$")  # Bedrock: ``-v1:0``
_REVISION: Final = re.compile(r"-v\d+$")
# A date, or what stands for one: OpenAI's ``-2024-08-06`` and ``-0613``, Anthropic's ``-20250514``, Vertex AI's
# ``@20250514``, Mistral's ``-2407``, Google's ``-001``, ``-preview-05-06`` and ``-preview-09-2025``.
_DATE: Final = re.compile(
    r"[-@]20\d{6}$|-20\d\d-\d\d-\d\d$|-\d{4}$|-00\d$|-latest$|@(?:latest|default)$"
    r"|-(?:preview|exp)(?:-\d\d-(?:\d\d|20\d\d))?$"
)


def vendor_at(base_url: str) -> str:
    """The catalog's name of the provider at an address; ``""``: it has no prices for it."""
    host = urlsplit(base_url).hostname or ""
    if _is_bedrock(host):
        return "aws"
    found = _HOSTS.get(host)
    if found is None:
        found = next((vendor for suffix, vendor in _SUFFIXES if host.endswith(suffix)), "")
    return found


def place_of(base_url: str, model: str) -> tuple[str, str]:
    """The catalog's provider, and the name of a model there.

    In a region, Claude costs on Vertex AI what it costs on Bedrock, whose regional prices the catalog has.
    """
    vendor = vendor_at(base_url)
    if vendor == "google" and "claude-" in model and _is_vertex_region(urlsplit(base_url).hostname or ""):
        return "aws", f"eu.anthropic.{model.rpartition('/')[2].replace('@', '-')}"
    return vendor, model


def keys(vendor: str, model: str) -> Iterator[str]:
    """Keys of the catalog that may be meant by a provider's name of a model, the most exact first.

    In a key, ``*`` at the end stands for a date or a revision, and at the start for a region or a maker. A version is
    never cut, nor any word: ``claude-sonnet-4-5`` is not ``claude-sonnet-4``, and ``gpt-4o-mini`` is not ``gpt-4o``.
    """
    for name, shortened in _heads(vendor, model.lower()):
        firsts = ("*",) if shortened else ("", "*")
        for stem, undated in _stems(vendor, name):
            for first in firsts:
                if not undated:
                    yield f"{first}{stem}"
                yield f"{first}{stem}*"


def _heads(vendor: str, name: str) -> Iterator[tuple[str, bool]]:
    """The name, then without what stands before it, and whether the key must allow that."""
    if name.startswith("ft:"):  # OpenAI's fine-tuned models: ft:gpt-4o-mini-2024-07-18:organization::id
        name = ":".join(name.split(":")[:2])
    # publishers/anthropic/models/claude-opus-4-5, google/gemini-2.5-pro; and
    # arn:aws:bedrock:eu-west-1:123:inference-profile/eu.amazon.nova-pro-v1:0
    if vendor in ("google", "aws"):
        name = name.rpartition("/")[2]
    yield name, False
    if vendor != "aws":
        return
    for pattern in (_BEDROCK_REGION, _BEDROCK_VENDOR):
        shorter = pattern.sub("", name)
        if shorter != name:
            name = shorter
            yield name, True


def _stems(vendor: str, name: str) -> Iterator[tuple[str, bool]]:
    """The name, then without its date and revision, and whether the key must allow that."""
    yield name, False
    seen = {name}
    patterns = [_DATE]
    if vendor in ("aws", "google"):  # Vertex AI: claude-3-5-sonnet-v2@20241022
        patterns = [_THROUGHPUT, _REVISION, _DATE, _REVISION]
    for pattern in patterns:
        name = pattern.sub("", name)
        if name not in seen:
            seen.add(name)
            yield name, True
