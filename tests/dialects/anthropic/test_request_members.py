"""No member of a request is lost in silence: each is carried to neutral terms, told or refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from proxy.dialects.anthropic.client.request_decoder import MessagesRequestDecoder
from proxy.dialects.translation.base import EncodingTarget, RequestEncoder
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from tests.support.schemas.judge import translate, verdicts
from tests.support.schemas.known import BETA_MESSAGES, MESSAGES
from tests.support.schemas.requests import RequestSchema
from tests.support.schemas.variants import Variant

TARGET = EncodingTarget("m", ModelFacts())

# What says nothing: the model, which is read elsewhere; empty objects; a direct call; and what system messages say of
# turns that are past, as the variants have it.
SILENT = {
    "model",
    "metadata",
    "output_config",
    "messages[].content[].citations",
    "messages[].content[].content[].citations",
    "messages[].content[].caller",
    "messages[]",
    "messages[].clear_at",
    "messages[].output_config",
    "messages[].output_config.effort",
}


class Everything(RequestEncoder):
    """Encodes all that the conversation has."""

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(conversation)
        return found | {"dropped": None}


def lost(schema: RequestSchema, variant: Variant) -> list[Any]:
    found = verdicts(
        variant,
        lambda value: schema.request(variant, value),
        lambda request: translate(MessagesRequestDecoder(), Everything(), request, TARGET),
    )
    return [value for value, verdict in found.items() if verdict not in ("carried", "told", "refused")]


@pytest.mark.parametrize("schema", [MESSAGES, BETA_MESSAGES], ids=str)
def test_no_member_is_lost_in_silence(schema: RequestSchema) -> None:
    found = {(variant.path, str(value)) for variant in schema.variants for value in lost(schema, variant)}
    assert {path for path, _ in found} <= SILENT, sorted(found)
