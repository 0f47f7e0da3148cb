"""Amazon Bedrock by its native endpoints: OpenAI's chat and responses, and Anthropic's messages.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html, ``providers/bedrock.py`` of
openai-python and ``lib/bedrock/_mantle.py`` of anthropic-sdk-python.
"""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from proxy.config.provider_schema import ProviderSettings, WireDialect
from proxy.providers.base import ProviderKind
from proxy.providers.credential_source import CredentialSource

MANTLE: Final = "bedrock-mantle"
RUNTIME: Final = "bedrock"

_in_host: Final = re.compile(r"(?:^|\.)bedrock-(runtime|mantle)(?:-fips)?\.([a-z0-9-]+)\.").search


class Bedrock(ProviderKind):
    """The base URL is that of OpenAI's endpoints: ``bedrock-runtime`` or ``bedrock-mantle``, with ``/openai/v1``.

    Messages are at ``bedrock-mantle`` of the same region, below ``/anthropic/v1``; at another host in its own tree. A
    key is one of Bedrock's API keys. Without any, requests are signed.
    """

    credential = "bearer"
    wires = frozenset({"chat", "responses", "messages"})
    cloud = True

    def target(self, base: str, query: str, path: str, model: str | None) -> str:
        return f"{base}/{path}"

    def address(self, base_url: str, wire: WireDialect) -> str:
        url = URL(base_url)
        if (wire == "messages") == url.raw_path.startswith("/anthropic"):
            return base_url
        scope = scope_of(url.host or "")
        if scope is not None and scope[0] == RUNTIME:
            url = url.with_host(f"bedrock-mantle.{scope[1]}.api.aws")
        return str(url.with_path("/anthropic/v1" if wire == "messages" else "/openai/v1"))

    def dropped_parameters(self, base: str, query: str) -> frozenset[str]:
        return frozenset({"api-version"})

    def source(self, settings: ProviderSettings) -> CredentialSource:
        return CredentialSource("aws", settings.cloud)

    def mistake(self, settings: ProviderSettings) -> str:
        known = all(scope_of(URL(address).host or "") is not None for address in settings.addresses)
        if known or settings.cloud.region:
            return ""
        return ".cloud.region: is missing: the host of baseUrl does not name the region that requests are signed for"


def scope_of(host: str) -> tuple[str, str] | None:
    """AWS's service and region of an endpoint of Bedrock, also of a private one; ``None`` for another host."""
    found = _in_host(host)
    return None if found is None else (RUNTIME if found[1] == "runtime" else MANTLE, found[2])
