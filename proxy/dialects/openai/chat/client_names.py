"""What clients call the members that a chat provider may lack, for errors and for what is lost."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class MemberNames(Struct, frozen=True):
    """Paths of members by what they are for; here those of chat.

    ``cache_...``: marks of breakpoints, by where they stand. ``file``: content that is named by its address or its id.
    Settings that have the same name everywhere, such as ``top_k``, are not here.
    """

    audio: str = "messages[].content[].input_audio"
    blob: str = "messages[].reasoning_details"
    budget: str = "thinking.budget_tokens"
    cache_call: str = "messages[].tool_calls[].prompt_cache_breakpoint"
    cache_content: str = "messages[].content[].prompt_cache_breakpoint"
    cache_end: str = "prompt_cache_options"
    cache_result: str = "messages[].content[].prompt_cache_breakpoint"
    cache_system: str = "messages[].content[].prompt_cache_breakpoint"
    cache_tool: str = "tools[].prompt_cache_breakpoint"
    call_signature: str = "messages[].tool_calls[].extra_content"
    citations: str = "messages[].content[].annotations"
    content: str = "messages[].content"
    cited: str = "messages[].content[].file.citations"
    document: str = "messages[].content[].file"
    document_file: str = "messages[].content[].file.file_id"
    effort: str = "reasoning_effort"
    grammar: str = "tools[].custom.format"
    image: str = "messages[].content[].image_url"
    image_file: str = "messages[].content[].file.file_id"
    limit: str = "max_completion_tokens"
    logprobs: str = "logprobs"
    messages: str = "messages"
    output_format: str = "response_format"
    phase: str = "messages[].phase"
    reasoning: str = "messages[].reasoning_content"
    role: str = "messages[].role"
    stop: str = "stop"
    thinking: str = "thinking"
    user: str = "user"
    verbosity: str = "verbosity"


_CHAT: Final = MemberNames()
_MESSAGES: Final = MemberNames(
    audio="messages[].content[]",
    blob="messages[].content[].signature",
    cache_call="messages[].content[].cache_control",
    cache_content="messages[].content[].cache_control",
    cache_end="cache_control",
    cache_result="messages[].content[].cache_control",
    cache_system="system[].cache_control",
    cache_tool="tools[].cache_control",
    call_signature="messages[].content[].signature",
    citations="messages[].content[].citations",
    cited="messages[].content[].citations",
    document="messages[].content[].source",
    document_file="messages[].content[].source",
    effort="output_config.effort",
    grammar="tools[]",
    image="messages[].content[].source",
    image_file="messages[].content[].source",
    limit="max_tokens",
    output_format="output_config.format",
    phase="messages[]",
    reasoning="messages[].content[].thinking",
    stop="stop_sequences",
    thinking="thinking.type",
    user="metadata.user_id",
)
_RESPONSES: Final = MemberNames(
    audio="input[].content[].input_audio",
    blob="input[].encrypted_content",
    budget="reasoning",
    cache_call="input[]",
    cache_content="input[].content[].prompt_cache_breakpoint",
    cache_result="input[].output[].prompt_cache_breakpoint",
    cache_system="input[].content[].prompt_cache_breakpoint",
    cache_tool="tools[]",
    call_signature="input[].encrypted_content",
    citations="input[].content[].annotations",
    content="input[].content",
    cited="input[].content[]",
    document="input[].content[].file_url",
    document_file="input[].content[].file_id",
    effort="reasoning.effort",
    grammar="tools[].format",
    image="input[].content[].image_url",
    image_file="input[].content[].file_id",
    limit="max_output_tokens",
    logprobs="top_logprobs",
    messages="input",
    output_format="text.format",
    phase="input[].phase",
    reasoning="input[].summary",
    role="input[].role",
    thinking="reasoning.effort",
    verbosity="text.verbosity",
)
_BY_SOURCE: Final = {"anthropic.messages": _MESSAGES, "openai.responses": _RESPONSES}


def member_names(source: str) -> MemberNames:
    """The names in the dialect ``source``; those of chat where it is not known."""
    return _BY_SOURCE.get(source, _CHAT)
