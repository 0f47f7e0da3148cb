"""A request to a model in neutral terms: what ``RequestDecoder`` makes of a body, and ``RequestEncoder`` a body of.

A struct holds what at least two dialects can say. JSON within it (schemas, metadata) is decoded: ``dict``, ``list``,
``str`` and so on.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

Role = Literal["system", "user", "assistant", "tool"]
ToolKind = Literal["function", "custom"]


class CacheMark(Struct, frozen=True, gc=False):
    """A cache breakpoint behind the part that has it. ``ttl``: ``5m``, ``1h`` and so on; ``""``: the usual one."""

    ttl: str = ""


class ContentSource(Struct, frozen=True, gc=False):
    """Where content is: exactly one of ``data`` (base64), ``text``, ``url`` and ``file_id`` is not ``None``.

    ``media_type`` is ``""`` where it is not known. ``owner``: dialect whose account has the file.
    """

    data: str | None = None
    text: str | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str = ""
    owner: str = ""


class Blob(Struct, frozen=True, gc=False):
    """What only its issuer can read: a signature, or redacted or encrypted reasoning.

    ``issuer``: see ``blobs.py``; ``""``: unknown, as the blob came from the provider without passing a translation.
    ``kind``: ``signature`` belongs to the text of its ``Reasoning`` or to its ``ToolCall``; the others replace a text.
    """

    data: str
    kind: Literal["signature", "redacted", "encrypted"] = "signature"
    issuer: str = ""


class Citation(Struct, frozen=True, gc=False):
    """A source of a text. ``start`` and ``end`` are characters of that text, ``None`` where unknown."""

    url: str = ""
    title: str = ""
    quote: str = ""  # text of the source
    file_id: str = ""
    start: int | None = None
    end: int | None = None


class Text(Struct):
    text: str
    cache: CacheMark | None = None
    citations: tuple[Citation, ...] = ()


class Image(Struct):
    """``detail``: OpenAI's ``low``, ``high`` and so on; ``""``: not said."""

    source: ContentSource
    detail: str = ""
    cache: CacheMark | None = None


class Document(Struct):
    """A PDF, a text or another file. ``cited``: the answer must cite it (Anthropic's ``citations.enabled``)."""

    source: ContentSource
    name: str = ""
    context: str = ""
    cited: bool = False
    cache: CacheMark | None = None


class Audio(Struct):
    """``format`` as OpenAI names it: ``wav``, ``mp3``."""

    source: ContentSource
    format: str = ""


class Reasoning(Struct):
    """What a model thought. ``summary``: the text is a summary. ``text`` may be ``""`` beside a blob.

    ``id``: of the item in OpenAI's Responses API.
    """

    text: str = ""
    blob: Blob | None = None
    summary: bool = False
    id: str = ""


class Refused(Struct):
    """The model's own words for a refusal."""

    text: str


class ToolCall(Struct):
    """``arguments``: JSON text of a function's arguments, ``""`` for none; the raw text for a custom tool.

    ``namespace``: of a tool in the Responses API. ``blob``: a signature that belongs to the call.
    """

    id: str
    name: str
    arguments: str = ""
    kind: ToolKind = "function"
    namespace: str = ""
    blob: Blob | None = None
    cache: CacheMark | None = None


class ToolResult(Struct):
    """``kind`` is that of the call."""

    call_id: str
    content: list[Text | Image | Document | Audio]
    is_error: bool = False
    kind: ToolKind = "function"
    cache: CacheMark | None = None


Part: TypeAlias = Text | Image | Document | Audio | Reasoning | Refused | ToolCall | ToolResult


class ConversationMessage(Struct):
    """One turn. ``system`` messages may stand anywhere. ``tool`` messages hold only ``ToolResult``, no other role any.

    Two messages of one role may follow each other. ``name``: of the author (chat). ``phase``: of an answer (Responses).
    """

    role: Role
    content: list[Part]
    name: str = ""
    phase: str = ""


class ToolDefinition(Struct):
    """A tool that the client runs.

    ``parameters``: JSON Schema of a function's arguments, ``None`` for none. ``grammar``: of a custom tool's text, as
    ``{"syntax", "definition"}``; ``None``: any text. ``strict``: ``None`` is not said. ``call_type``: of its calls in
    the Responses API, where they have a type of their own, such as ``shell_call``.
    """

    name: str
    description: str = ""
    parameters: Any = None
    strict: bool | None = None
    kind: ToolKind = "function"
    grammar: Any = None
    namespace: str = ""
    cache: CacheMark | None = None
    call_type: str = ""


class ToolChoice(Struct):
    """``one``: must call ``name``. ``allowed``: the only tools that may be called, ``None`` for all.

    ``parallel``: ``False`` is one call at a time, ``None`` not said.
    """

    mode: Literal["", "auto", "none", "any", "one"] = ""  # "": not said
    name: str = ""
    namespace: str = ""
    allowed: tuple[str, ...] | None = None
    parallel: bool | None = None


class JsonFormat(Struct):
    """JSON by a schema, or any JSON where ``schema`` is ``None``."""

    schema: Any = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class ThinkingSettings(Struct):
    """How the model should think. ``effort``: ``none`` to ``max``, see ``effort.py``; ``""``: not said.

    ``mode``: ``on`` with ``budget`` tokens if given, ``adaptive``: the model decides. ``shown``: what the client gets
    of it: ``omitted`` is nothing but blobs, ``summary`` a summary.
    """

    mode: Literal["", "off", "on", "adaptive"] = ""  # "": not said
    budget: int | None = None
    effort: str = ""
    shown: Literal["", "omitted", "summary"] = ""  # "": not said


class SamplingSettings(Struct):
    """``None``: not said. ``logprobs``: the client wants them, ``top_logprobs`` alternatives for each token."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Any = None
    logprobs: bool = False
    top_logprobs: int | None = None


class Conversation(Struct):
    """A whole request. ``None`` and ``""``: not said.

    ``output_tokens``: most tokens of the answer. ``choices``: answers. ``cache_key``: equal for requests with a common
    prefix; ``cache``: mark the end of the prompt. ``end_user``: who uses the client. ``tags``: the client's metadata.
    ``store``: the provider should keep the answer. ``wants_usage``: a stream must end with the usage. ``include``: more
    that the answer should have, as the Responses API names it. ``legacy_functions``: the client sent chat's old
    ``functions``, so its answer has ``function_call``. ``own_names``: where the dialect has two names for a member, the
    client's by that of ``client_names.py``. ``echo``: members of the request that an answer of the Responses API
    repeats, as JSON without the braces.

    ``dropped``: members that no other dialect has, by their path, such as ``context_management`` or
    ``messages[].name``: lost whatever the provider. ``repaired``: what ``repairs.py`` had to repair, such as
    ``missing_tool_result``. ``in_order``: it found that results follow their calls directly, in the same order, and
    that no message of the assistant follows another.
    ``source``: name of the dialect that it was decoded from.
    """

    source: str
    messages: list[ConversationMessage]
    tools: list[ToolDefinition] = []
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    output_format: JsonFormat | None = None
    output_tokens: int | None = None
    stop: list[str] = []
    choices: int = 1
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    thinking: ThinkingSettings = field(default_factory=ThinkingSettings)
    verbosity: str = ""
    service_tier: str = ""
    end_user: str = ""
    tags: dict[str, Any] | None = None
    cache_key: str = ""
    cache: CacheMark | None = None
    store: bool | None = None
    stream: bool = False
    wants_usage: bool = False
    dropped: list[str] = []
    include: frozenset[str] = frozenset()
    legacy_functions: bool = False
    own_names: dict[str, str] = {}
    echo: bytes = b""
    repaired: list[str] = []
    in_order: bool = False
