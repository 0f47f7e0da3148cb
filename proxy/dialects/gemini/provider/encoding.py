"""What the encoding of one request for the Gemini API needs to know."""

from __future__ import annotations

from msgspec import Struct

from proxy.dialects.translation.client_names import MemberNames
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames


class GeminiEncoding(Struct, frozen=True, eq=False):
    """``issuer``: of blobs that the provider can read. ``names``: of tools. ``client``: the client's, for losses."""

    facts: ModelFacts
    issuer: str
    losses: Losses
    names: ToolNames
    client: MemberNames
