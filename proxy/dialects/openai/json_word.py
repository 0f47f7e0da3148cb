"""The word JSON in a prompt: OpenAI and DeepSeek refuse ``json_object`` without it, and Google's API does not.

https://developers.openai.com/api/docs/guides/structured-outputs (JSON mode),
https://api-docs.deepseek.com/guides/json_mode
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from proxy.dialects.translation.conversation import Conversation, ConversationMessage, Text, ToolResult

_INSTRUCTION: Final = "Answer in JSON."
_WORD: Final = "json"


def with_json_word(conversation: Conversation) -> Conversation:
    """The conversation, with a last system text if it wants any JSON and no text of it says so."""
    wanted = conversation.output_format
    if wanted is None or wanted.schema is not None or any(_WORD in text.lower() for text in _texts(conversation)):
        return conversation
    messages = conversation.messages
    first = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    instruction = ConversationMessage("system", [Text(_INSTRUCTION)])
    return replace(conversation, messages=[*messages[:first], instruction, *messages[first:]])


def _texts(conversation: Conversation) -> Iterator[str]:
    for message in conversation.messages:
        for part in message.content:
            if isinstance(part, Text):
                yield part.text
            elif isinstance(part, ToolResult):
                yield from (each.text for each in part.content if isinstance(each, Text))
