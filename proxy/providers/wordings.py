"""Wordings of providers' errors, each with its source.

They are substrings or patterns of real messages. ``wire`` is the recorded traffic that the tests replay. Add a wording
with its source, and a case to ``tests/providers/test_refusal.py``.
"""

from __future__ import annotations

from typing import Final

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
    r"input token count is \d+ but model only supports",  # Vertex: google-gemini/gemini-cli#19727
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
    r"publisher model \S+ was not found",  # Vertex: genkit-ai/genkit#4688
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
    r"api key not found",  # Gemini, "API Key not found. Please pass a valid API key.": Wei-Shaw/sub2api#1709
    r"incorrect api key provided",  # xAI answers a wrong key with a 400
    r"this organization has been disabled",  # Anthropic: anthropics/claude-code#19028
    r"organization_on_hold$",  # Anthropic's error_code: the class OrganizationOnHoldError of anthropic 2.14
)

# A 403 about the key or its project, at the beginning of a sentence.
KEY_FORBIDDEN: Final = (
    r"consumer_suspended$",  # Gemini, reason of its error details: google/generative-ai-docs#356
    r"service_disabled$",  # Gemini, the same: google-gemini/deprecated-generative-ai-python#10
    r"api_key_service_blocked$",  # Gemini, the same: continuedev/continue#12781
    r"your api key was reported as leaked",  # Gemini: continuedev/continue#11541
    r"your project has been denied access",  # Gemini: poenl/gemini-api#8
    # AWS: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html. They quote the signed headers.
    r"the request signature we calculated does not match",
    r"signature expired: ",  # the same page, for a clock that is wrong
    r"credential should be scoped to ",  # the same page, "... a valid region."
    r"the security token included in the request is (?:invalid|expired)",  # AWS: anthropics/claude-code#2260
)

# A 400 about the account or the place of the gateway, not about the request, at the beginning of a sentence.
UNAVAILABLE_HERE: Final = (
    r"user location is not supported",  # Gemini, FAILED_PRECONDITION: google-gemini/gemini-cli#24641
    r"gemini api free tier is not available",  # Gemini, "... in your country. Enable billing": u14app/neo-chat#45
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
    r"(?:contract|enforced)_spend_limit_reached$",  # Anthropic's error_code: ContractSpendLimitReachedError
    # Gemini's quotaId of a day, "GenerateRequestsPerDayPerProjectPerModel-FreeTier". The RetryInfo beside it says less
    # than a minute, and is wrong: UKGovernmentBEIS/inspect_ai#5526.
    r"\w*PerDay\w*(?:-\w+)?$",
    # Gemini, a model that the account may not use: UKGovernmentBEIS/inspect_ai#3215
    r"you exceeded your current quota[\s\S]*\blimit: 0\b",
)

# A 400 about the account's credit, at the beginning of a sentence.
OUT_OF_CREDIT: Final = (
    r"your credit balance is too low",  # Anthropic, "... to access the Anthropic API.": anthropics/claude-code#4684
    r"you have reached your specified api usage limits",  # Anthropic, until a date: anthropics/claude-code#2127
)

TOO_LARGE: Final = (
    r"request too large",  # OpenAI (429): Aider-AI/aider#1880; Groq (413): openai/codex, "on tokens per minute (TPM)"
    r"long context requests",  # Anthropic (429), "Extra usage is required for long context requests."
)

RATE_LIMITED: Final = (
    r"rate.?limit",  # OpenAI, Anthropic, Azure: wire openai/responses-stream-ratelimit-error
    r"resource_exhausted",  # Gemini: wire gemini/json-429-quota
    r"too.?many.?requests",  # the reason phrase of RFC 6585, as a code
)
