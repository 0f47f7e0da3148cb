"""What clients call the members that a provider may lack, for errors and for what is lost."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class ContentNames(Struct, frozen=True):
    """Paths within the content of messages in one ``place``. ``..._file``: content that is named by the id of a file.

    ``cache``: the mark of a breakpoint. ``cited``: that the answer must cite a document. ``detail``: of an image.
    """

    audio: str
    cache: str
    citations: str
    cited: str
    detail: str
    document: str
    document_file: str
    image: str
    image_file: str
    place: str


class MemberNames(Struct, frozen=True):
    """Paths of members, by what they are for. Settings that have one name everywhere, such as ``top_k``, are not here.

    ``arguments``: of a call. ``cache_...``: marks of breakpoints that are not in content. ``name``: of an author.
    ``parallel``: that calls come one at a time. ``parameters``: the schema of a tool. ``shown``: what the client gets
    of the model's thoughts.
    """

    content: ContentNames
    result: ContentNames
    system: ContentNames
    arguments: str = "messages[].tool_calls[].function.arguments"
    blob: str = "messages[].reasoning_details"
    budget: str = "thinking.budget_tokens"
    cache_call: str = "messages[].tool_calls[].prompt_cache_breakpoint"
    cache_end: str = "prompt_cache_options"
    cache_result: str = "messages[].prompt_cache_breakpoint"
    cache_tool: str = "tools[].prompt_cache_breakpoint"
    call_signature: str = "messages[].tool_calls[].extra_content"
    choices: str = "n"
    effort: str = "reasoning_effort"
    grammar: str = "tools[].custom.format"
    limit: str = "max_completion_tokens"
    logprobs: str = "logprobs"
    message_content: str = "messages[].content"
    messages: str = "messages"
    name: str = "messages[].name"
    output_format: str = "response_format"
    output_schema: str = "response_format.json_schema.schema"
    parallel: str = "parallel_tool_calls"
    parameters: str = "tools[].function.parameters"
    phase: str = "messages[].phase"
    reasoning: str = "messages[].reasoning_content"
    redacted: str = "messages[].reasoning_details"
    role: str = "messages[].role"
    shown: str = "reasoning.exclude"
    stop: str = "stop"
    strict: str = "tools[].function.strict"
    thinking: str = "thinking"
    tier_fast: str = "service_tier"
    user: str = "user"
    verbosity: str = "verbosity"


def _in_chat(path: str) -> ContentNames:
    return ContentNames(
        audio=f"{path}.input_audio",
        cache=f"{path}.prompt_cache_breakpoint",
        citations=f"{path}.annotations",
        cited=f"{path}.file.citations",
        detail=f"{path}.image_url.detail",
        document=f"{path}.file",
        document_file=f"{path}.file.file_id",
        image=f"{path}.image_url",
        image_file=f"{path}.file.file_id",
        place=path,
    )


def _in_messages(path: str) -> ContentNames:
    return ContentNames(
        audio=path,
        cache=f"{path}.cache_control",
        citations=f"{path}.citations",
        cited=f"{path}.citations",
        detail=path,
        document=f"{path}.source",
        document_file=f"{path}.source",
        image=f"{path}.source",
        image_file=f"{path}.source",
        place=path,
    )


def _in_responses(path: str) -> ContentNames:
    return ContentNames(
        audio=f"{path}.input_audio",
        cache=f"{path}.prompt_cache_breakpoint",
        citations=f"{path}.annotations",
        cited=path,
        detail=f"{path}.detail",
        document=f"{path}.file_url",
        document_file=f"{path}.file_id",
        image=f"{path}.image_url",
        image_file=f"{path}.file_id",
        place=path,
    )


def _in_gemini(path: str) -> ContentNames:
    return ContentNames(
        audio=path,
        cache=path,
        citations=path,
        cited=path,
        detail=path,
        document=path,
        document_file=f"{path}.fileData.fileUri",
        image=path,
        image_file=f"{path}.fileData.fileUri",
        place=path,
    )


_IN_CHAT: Final = _in_chat("messages[].content[]")
_CHAT: Final = MemberNames(_IN_CHAT, _IN_CHAT, _IN_CHAT)
_MESSAGES: Final = MemberNames(
    content=_in_messages("messages[].content[]"),
    result=_in_messages("messages[].content[].content[]"),
    system=_in_messages("system[]"),
    arguments="messages[].content[].input",
    blob="messages[].content[].signature",
    cache_call="messages[].content[].cache_control",
    cache_end="cache_control",
    cache_result="messages[].content[].cache_control",
    cache_tool="tools[].cache_control",
    call_signature="messages[].content[].signature",
    effort="output_config.effort",
    grammar="tools[]",
    limit="max_tokens",
    name="messages[]",
    output_format="output_config.format",
    output_schema="output_config.format.schema",
    parallel="tool_choice.disable_parallel_tool_use",
    parameters="tools[].input_schema",
    phase="messages[]",
    reasoning="messages[].content[].thinking",
    redacted="messages[].content[].data",
    shown="thinking.display",
    stop="stop_sequences",
    strict="tools[].strict",
    thinking="thinking.type",
    tier_fast="speed",
    user="metadata.user_id",
)
_RESPONSES: Final = MemberNames(
    content=_in_responses("input[].content[]"),
    result=_in_responses("input[].output[]"),
    system=_in_responses("input[].content[]"),
    arguments="input[].arguments",
    blob="input[].encrypted_content",
    budget="reasoning",
    cache_call="input[]",
    cache_result="input[]",
    cache_tool="tools[]",
    call_signature="input[].encrypted_content",
    effort="reasoning.effort",
    grammar="tools[].format",
    limit="max_output_tokens",
    logprobs="include[message.output_text.logprobs]",
    message_content="input[].content",
    messages="input",
    name="input[]",
    output_format="text.format",
    output_schema="text.format.schema",
    parameters="tools[].parameters",
    phase="input[].phase",
    reasoning="input[reasoning]",
    redacted="input[].encrypted_content",
    role="input[].role",
    shown="reasoning.summary",
    strict="tools[].strict",
    thinking="reasoning.effort",
    verbosity="text.verbosity",
)
_GEMINI: Final = MemberNames(
    content=_in_gemini("contents[].parts[]"),
    result=_in_gemini("contents[].parts[].functionResponse.parts[]"),
    system=_in_gemini("systemInstruction.parts[]"),
    arguments="contents[].parts[].functionCall.args",
    blob="contents[].parts[].thoughtSignature",
    budget="generationConfig.thinkingConfig.thinkingBudget",
    cache_call="contents[]",
    cache_end="contents",
    cache_result="contents[]",
    cache_tool="tools[]",
    call_signature="contents[].parts[].thoughtSignature",
    choices="generationConfig.candidateCount",
    effort="generationConfig.thinkingConfig.thinkingLevel",
    grammar="tools[]",
    limit="generationConfig.maxOutputTokens",
    logprobs="generationConfig.responseLogprobs",
    message_content="contents[].parts",
    messages="contents",
    name="contents[]",
    output_format="generationConfig.responseMimeType",
    output_schema="generationConfig.responseSchema",
    parameters="tools[].functionDeclarations[].parameters",
    phase="contents[]",
    reasoning="contents[].parts[].thought",
    redacted="contents[].parts[].thoughtSignature",
    role="contents[].role",
    shown="generationConfig.thinkingConfig.includeThoughts",
    stop="generationConfig.stopSequences",
    strict="toolConfig.functionCallingConfig.mode",
    thinking="generationConfig.thinkingConfig",
    tier_fast="serviceTier",
    user="labels",
)
_BY_SOURCE: Final = {"anthropic.messages": _MESSAGES, "openai.responses": _RESPONSES, "gemini.generate": _GEMINI}


def member_names(source: str) -> MemberNames:
    """The names in the dialect ``source``; those of chat where it is not known."""
    return _BY_SOURCE.get(source, _CHAT)
