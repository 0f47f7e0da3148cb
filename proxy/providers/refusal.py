"""The meaning of a provider's error: from its status, headers and body.

Only the provider's own sentences are read (the members in ``_MESSAGE_MEMBERS``). Validation errors quote the client's
prompt, and a prompt may contain any wording.

The wordings below are substrings or patterns of real messages, each with its source. ``wire`` is the recorded traffic
that the tests replay. Add a wording with its source, and a case to the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Final, Literal

from msgspec import Struct

from proxy.dialects import provider_error
from proxy.dialects.provider_error import ProviderError
from proxy.errors import LoopDetected
from proxy.wire import document

Meaning = Literal[
    "rate_limited",  # too much for now: the same request may succeed later
    "too_large",  # this request alone exceeds a limit of the account or server: waiting does not help
    "out_of_quota",  # the account has no credit left: waiting does not help
    "server_error",  # a failure of the provider
    "model_missing",  # the provider has no such model
    "not_found",  # something else is missing, perhaps the path
    "item_missing",  # the request refers to a missing item: a stored response, a file
    "context_length",  # prompt and requested output exceed the model's context
    "content_filter",  # blocked by a content policy
    "auth",  # our credential is rejected
    "payment_required",  # 402: the account's balance
    "forbidden",  # 403: this request, or this deployment, is not allowed
    "refused_in_answer",  # a 4xx inside a 200
    "loop",  # another gateway found that the request came back to it
    "other",  # the request is wrong
]


class Refusal(Struct, frozen=True):
    """``retry_after``: seconds from now, 0 to ``LONGEST``; ``None`` if the provider gave no time."""

    kind: Meaning
    retry_after: float | None = None


LONGEST: Final = 86_400.0  # a wrong header must not disable a deployment for years
LIMIT: Final = 2000  # characters of one sentence
SENTENCES: Final = 24
TOGETHER: Final = 4000  # characters that are searched, so that the loop is not blocked

CONTEXT_LENGTH: Final = (
    # Codes and types
    r"context[_ ]length[_ ]exceeded",  # OpenAI, Azure, Groq: wire openai/responses-json-error-context
    r"exceed_context_size_error",  # llama.cpp, the type that goes with its sentence below
    r"model_context_window_exceeded",  # Z.ai: sst/opencode packages/llm/src/provider-error.ts
    # Sentences
    r"maximum context length",  # OpenAI, vLLM, DeepSeek and OpenRouter (both wire chat-error-400-context)
    r"exceeds? the context (?:window|length|limit)",  # OpenAI's responses (wire), Ollama's embeddings
    r"exceed context limit",  # Anthropic, prompt and max_tokens together: BerriAI/litellm exception_mapping_utils.py
    r"prompt is too long",  # Anthropic (wire messages-error-400-context), Bedrock strands-agents/harness-sdk#1663
    r"input is too long",  # Bedrock, Replicate: continuedev/continue#9592, BerriAI/litellm#21647
    r"too many input tokens",  # Bedrock: BerriAI/litellm#21647
    r"too many tokens: ",  # Cohere, "total number of tokens in the prompt": docs.cohere.com/reference/errors
    r"reduce the length of the (?:messages|prompt|input)",  # Groq: thepersonalaicompany/amurex-backend#51
    r"input token count.{0,40} exceeds the maximum",  # Gemini: badlogic/pi-mono packages/ai/src/utils/overflow.ts
    r"too large for model with \d+ maximum context",  # Mistral: BerriAI/litellm#21647
    r"maximum prompt length is \d",  # xAI: badlogic/pi-mono overflow.ts
    r"exceeds the available context size",  # llama.cpp: badlogic/pi-mono overflow.ts
    r"greater than the context length",  # LM Studio: badlogic/pi-mono overflow.ts
    r"prompt too long; exceeded (?:max )?context length",  # Ollama: sst/opencode provider-error.ts
    r"context length is only \d",  # vLLM: sst/opencode provider-error.ts
    r"longer than the maximum model length",  # vLLM: hiyouga/LlamaFactory#7723
    r"is too long to fit into the model",  # vLLM: vllm-project/vllm#12165
    r"longer than the model's context length",  # SGLang: BerriAI/litellm exception_mapping_utils.py
    r"`inputs` tokens \+ `max_new_tokens` must be",  # Together, TGI: BerriAI/litellm exception_mapping_utils.py
    r"context window exceeds limit",  # MiniMax: badlogic/pi-mono overflow.ts
    r"exceeded model token limit",  # Moonshot: badlogic/pi-mono overflow.ts
    r"current length is \d+ while limit is",  # Cerebras: BerriAI/litellm exception_mapping_utils.py
    r"length of all messages is too long",  # Perplexity: BerriAI/litellm#21647
    r"range of input length should be \[",  # DashScope: QwenLM/qwen-code#98
)

CONTENT_FILTER: Final = (
    # Codes and types
    r"content_filter",  # Azure: compl-ai/compl-ai#20
    r"responsibleaipolicyviolation",  # Azure's inner error: microsoft/TinyTroupe#85
    r"content_policy_violation",  # OpenAI's images, OpenRouter: developersdigest.tech, OpenRouter 403
    r"moderation_blocked",  # OpenAI's images: "rejected as a result of our safety system"
    r"data_?inspection_?failed",  # DashScope: QwenLM/qwen-code#3145
    # Sentences
    r"content management policy",  # Azure: openai/openai-python#331
    r"content filtering policy",  # Anthropic: anthropics/claude-code#6195
    r"our safety system",  # OpenAI's images: "Your request was rejected as a result of our safety system."
    r"violating our usage policy",  # OpenAI's reasoning models, code invalid_prompt
    r"content exists risk",  # DeepSeek: deepseek-ai/awesome-deepseek-integration#13
    r"violates usage guidelines",  # xAI, with a 403: UKGovernmentBEIS/inspect_ai#2267
    r"input was flagged",  # OpenRouter, with a 403: openrouter.ai/docs/errors
    r"inappropriate content",  # DashScope: QwenLM/qwen-code#2905
)

MODEL_MISSING: Final = (
    # Codes
    r"model_not_found",  # OpenAI, Groq, Cerebras: wire openai/chat-error-404-model
    r"deploymentnotfound",  # Azure: chatboxai/chatbox#739
    r"unknown_model",  # GitHub Models, Azure: GitHubSecurityLab/seclab-taskflows#80
    # Sentences
    # OpenAI, vLLM and Groq "The model `x` does not exist": continuedev/continue#10166; xAI the same:
    # yihong0618/bilingual_book_maker#464; Ollama: netease-youdao/QAnything#555; Cohere: BerriAI/litellm#2515;
    # Fireworks: warpdotdev/warp#15107; DeepSeek: deepwn/addi#13
    r"\bmodel\b.{0,120}?\b(?:does not exist|not exist|not found)\b",
    r"^model: \S+",  # Anthropic, the whole message, type not_found_error
    r"\bmodels/\S+ is not found",  # Gemini: wwardaww/gnome-gemini-ai#21
    r"deployment for this resource does not exist",  # Azure: Azure-Samples/azure-search-openai-demo#391
    # OpenRouter: vyancharuk/nodejs-api-boilerplate#16, infiniflow/ragflow#2359; not "... that support tool use"
    r"no endpoints found for (?:this model|\S+/\S+)",
    r"is not a valid model id",  # OpenRouter, "<name> is not a valid model ID"
    r"invalid model: ",  # Mistral: tmc/langchaingo#1233
    r"unable to access (?:non-serverless )?model ",  # Together: HeyPuter/puter#3168
    r"model identifier is invalid",  # Bedrock, "The provided model identifier is invalid."
    # NVIDIA (410): capocasa/3code#2; Groq (400): ItzCrazyKns/Vane#771
    r"\bmodel\b.{0,120}?\bhas (?:reached its end of life|been (?:decommissioned|deprecated|retired|shut down))\b",
    r"^function \S+ not found for account",  # NVIDIA, of a model without its function: tashfeenahmed/freellmapi#634
)

# With a 400, and only at the beginning of a sentence: validation errors quote the client's input.
MODEL_MISSING_IN_400: Final = (
    r"model_(?:not_found|decommissioned)$",  # OpenAI's responses, Groq: crewAIInc/crewAI#1976
    r"model not exist$",  # DeepSeek: deepwn/addi#13
    r"(?:the )?(?:requested )?model [`'\"]?\S+ (?:does not exist|has been decommissioned)",  # OpenAI, Groq
    r"invalid model: ",  # Mistral: tmc/langchaingo#1233
    r"\S+ is not a valid model id",  # OpenRouter
)

# A 404 about an item that the request refers to, at the beginning of a sentence.
ITEM_MISSING: Final = (
    r"(?:previous_response|response|conversation|item|file|prompt|container|vector_store)_not_found$",  # OpenAI's codes
    # OpenAI, "Item with id 'rs_...' not found. Items are not persisted when `store` is set to false.":
    # router-for-me/CLIProxyAPI#2381
    r"(?:previous )?(?:item|response|conversation|file|prompt|container|vector store) (?:with )?(?:id )?['\"`]",
    r"no (?:such )?(?:item|response|conversation|file|prompt|container|vector store)\b",  # "No file found with id"
)

# With a 403, and only at the beginning of a sentence: guardrails quote the prompt.
MODEL_FORBIDDEN: Final = (
    r"model_not_found$",  # OpenAI's code beside the next sentence: Aider-AI/aider#604
    r"model_permission_blocked_(?:project|org)",  # Groq, "The model `x` is blocked at the project level."
    r"project `?\S+ does not have access to model",  # OpenAI: continuedev/continue#10120
    r"user \S+ is not authorized to access model",  # TrueFoundry: truefoundry/models#949
    r"you don't have access to the model",  # Bedrock, "... with the specified model ID."
    r"you are not allowed to sample from this model",  # OpenAI's fine-tuned models of others
)

# A 400 about the key, at the beginning of a sentence: OpenAI quotes wrong values within its sentences.
WRONG_KEY: Final = (
    r"api_key_invalid$",  # Gemini, reason of its error details
    r"api key not valid",  # Gemini, "API key not valid. Please pass a valid API key."
    r"api key expired",  # Gemini, "API key expired. Please renew the API key."
    r"incorrect api key provided",  # xAI answers a wrong key with a 400
)

# A 401 about the path: the key lacks a permission, but works for other requests.
MISSING_SCOPE: Final = (
    r"missing_scope$",  # OpenAI's code
    r"you have insufficient permissions for this operation",  # OpenAI's restricted keys, "Missing scopes: ..."
)

OUT_OF_QUOTA: Final = (
    # Codes and types only: Gemini says "You exceeded your current quota" of limits that are free again in a minute.
    r"insufficient_quota$",  # OpenAI, Azure, DashScope
    r"exceeded_current_quota_error$",  # Moonshot: platform.moonshot.ai/docs/api/errors
    r"billing_hard_limit_reached$",  # OpenAI
)

TOO_LARGE: Final = (
    r"request too large",  # OpenAI (429): Aider-AI/aider#1880; Groq (413): openai/codex, "on tokens per minute (TPM)"
    r"long context requests",  # Anthropic (429), "Extra usage is required for long context requests."
)
_SIZES: Final = re.compile(r"\blimit:? (\d{1,15}), (?:used:? \d+, )?requested:? (\d{1,15})", re.IGNORECASE)

# A 402 that a smaller request would pass. OpenRouter: "requires more credits, or fewer max_tokens. You requested up to
# 32000 tokens, but can only afford 27342", Gitlawb/openclaude#1125; where it affords 0, no request would.
_FEWER_TOKENS: Final = re.compile(r"\bmax_(?:completion_|output_)?tokens\b", re.IGNORECASE)
_AFFORDS_NOTHING: Final = re.compile(r"can only afford 0\b", re.IGNORECASE)

RATE_LIMITED: Final = (
    r"rate.?limit",  # OpenAI, Anthropic, Azure: wire openai/responses-stream-ratelimit-error
    r"resource_exhausted",  # Gemini: wire gemini/json-429-quota
    r"too.?many.?requests",  # the reason phrase of RFC 6585, as a code
)


def _any(wordings: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(wordings), re.IGNORECASE | re.MULTILINE)


_CONTEXT = _any(CONTEXT_LENGTH)
_FILTER = _any(CONTENT_FILTER)
_MISSING = _any(MODEL_MISSING)
_RATE = _any(RATE_LIMITED)
_LARGE = _any(TOO_LARGE)


def _first(wordings: tuple[str, ...]) -> re.Pattern[str]:
    """For ``match``: at the beginning of a sentence."""
    return re.compile("|".join(wordings), re.IGNORECASE)


_MODEL_FORBIDDEN = _first(MODEL_FORBIDDEN)
_WRONG_KEY = _first(WRONG_KEY)
_MISSING_SCOPE = _first(MISSING_SCOPE)
_OUT_OF_QUOTA = _first(OUT_OF_QUOTA)
_MISSING_IN_400 = _first(MODEL_MISSING_IN_400)
_ITEM_MISSING = _first(ITEM_MISSING)

# Members with the provider's own sentences. `raw` is the error of another provider inside OpenRouter's.
_MESSAGE_MEMBERS = (
    *("error", "message", "type", "code", "status", "detail", "msg", "error_type", "innererror", "metadata", "raw"),
    *("details", "reason"),  # google.rpc.ErrorInfo
)
_DEEPEST = 5
_RETRY_SOON = (408, 425)
_NOT_FOUND = (404, 410)
_TOO_LONG = (400, 413, 422)
_SAME_IN_ANSWER = (401, 402, 403, 413, 429)  # these mean the same as a status and inside a 200


def read(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, wall: float) -> Refusal:
    """The meaning of a response with an error status.

    Header names in any case, any body. ``wall`` is the current Unix time, since Retry-After may be a date.
    """
    kind = _meaning(status, _sentences(body))
    if kind in ("model_missing", "not_found") and status in _NOT_FOUND:
        error = provider_error.refused(body)
        if error is not None and error.param not in (None, "", "model"):
            kind = "item_missing"
        elif kind == "model_missing" and _names_something_else(error):
            kind = "not_found"
    return Refusal(kind, _retry_after(headers, wall))


def of_error(error: ProviderError | None) -> Refusal:
    """The meaning of an error inside a 200; ``None`` is one without a message.

    An unknown error is a server error, unless it names a 4xx.
    """
    if error is None:
        return Refusal("server_error")
    sentences = [str(error.code or ""), error.type or "", error.message]
    text = "\n".join(sentences)
    status = error.status or (429 if _RATE.search(text) else 0)
    if status in _SAME_IN_ANSWER:
        return Refusal(_meaning(status, sentences))
    if _FILTER.search(text):
        return Refusal("content_filter")
    if _CONTEXT.search(text):
        return Refusal("context_length")
    if status in (0, 400, 404) and _MISSING.search(text) and not _names_something_else(error):
        return Refusal("model_missing")
    if 400 <= status < 500 and status not in _RETRY_SOON:
        return Refusal("refused_in_answer")
    return Refusal("server_error")


def _meaning(status: int, sentences: list[str]) -> Meaning:
    text = "\n".join(sentences)[:TOGETHER]
    if status == LoopDetected.status and LoopDetected.code in sentences:
        return "loop"
    if status >= 500 or status in _RETRY_SOON:
        return "server_error"
    if status in _READERS:
        return _READERS[status](text, sentences)
    if _FILTER.search(text):
        return "content_filter"
    if status in _TOO_LONG and _CONTEXT.search(text):
        return "context_length"
    if status == 413:
        return "too_large"
    if status == 400 and any(map(_WRONG_KEY.match, sentences)):
        return "auth"
    if status == 400 and any(map(_MISSING_IN_400.match, sentences)):
        return "model_missing"
    return "other"


def _unauthorized(text: str, sentences: list[str]) -> Meaning:
    return "forbidden" if any(map(_MISSING_SCOPE.match, sentences)) else "auth"


def _payment_required(text: str, sentences: list[str]) -> Meaning:
    return "other" if _FEWER_TOKENS.search(text) and not _AFFORDS_NOTHING.search(text) else "payment_required"


def _forbidden(text: str, sentences: list[str]) -> Meaning:
    if _FILTER.search(text):
        return "content_filter"
    return "model_missing" if any(map(_MODEL_FORBIDDEN.match, sentences)) else "forbidden"


def _not_found(text: str, sentences: list[str]) -> Meaning:
    if any(map(_ITEM_MISSING.match, sentences)):
        return "item_missing"
    return "model_missing" if _MISSING.search(text) else "not_found"


def _names_something_else(error: ProviderError | None) -> bool:
    """Whether an error that looks like a missing model names another field.

    OpenAI quotes the missing ID, and a client may choose "the model does not exist" as an ID.
    """
    if error is None:
        return False
    code = error.code if isinstance(error.code, str) else ""
    named = code.endswith("_not_found") and _MISSING.search(code) is None
    return named or error.param not in (None, "", "model")


def _too_many(text: str, sentences: list[str]) -> Meaning:
    if any(map(_OUT_OF_QUOTA.match, sentences)):
        return "out_of_quota"
    return "too_large" if _exceeds(text) else "rate_limited"


def _exceeds(text: str) -> bool:
    """Whether the request alone exceeds the limit, so that waiting does not help."""
    sizes = _SIZES.search(text)
    return int(sizes[2]) > int(sizes[1]) if sizes else _LARGE.search(text) is not None


_READERS: Final = {
    401: _unauthorized,
    402: _payment_required,
    403: _forbidden,
    404: _not_found,
    410: _not_found,
    429: _too_many,
}


def _sentences(body: bytes) -> list[str]:
    """The provider's own sentences; for a body that is not JSON, its beginning."""
    try:
        found = document.decode(body)
    except ValueError:
        return [body[:LIMIT].decode("utf-8", "replace")]
    return [text[:LIMIT] for text in islice(_strings(found, 0), SENTENCES)]


def _strings(found: Any, depth: int) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif depth == _DEEPEST:
        return
    elif isinstance(found, list):  # Gemini wraps errors in a list, FastAPI lists mistakes
        for entry in found[:SENTENCES]:
            yield from _strings(entry, depth + 1)
    elif isinstance(found, dict):
        for name in _MESSAGE_MEMBERS:
            value = found.get(name)
            if name == "raw" and isinstance(value, str):
                yield from _sentences(value.encode("utf-8", "replace"))
            elif value is not None:
                yield from _strings(value, depth + 1)


def _retry_after(headers: Iterable[tuple[bytes, bytes]], wall: float) -> float | None:
    """Retry-After (RFC 9110 section 10.2.3), else Azure's ``retry-after-ms``."""
    seconds = milliseconds = None
    for name, value in headers:
        match name.lower():
            case b"retry-after":
                seconds = _number(value)
                if seconds is None:
                    seconds = _until(value, wall)
            case b"retry-after-ms":
                milliseconds = _number(value)
    if seconds is None and milliseconds is not None:
        seconds = milliseconds / 1000
    return None if seconds is None else min(max(seconds, 0.0), LONGEST)


_is_number = re.compile(rb"\d{1,12}(?:\.\d{1,9})?").fullmatch  # the RFC has no fractions, but providers send them


def _number(value: bytes) -> float | None:
    value = value.strip()
    return float(value) if _is_number(value) else None


def _until(value: bytes, wall: float) -> float | None:
    """Seconds until an HTTP date, negative if it is past."""
    try:
        return parsedate_to_datetime(value.decode("ascii")).timestamp() - wall
    except (ValueError, OverflowError):
        return None
