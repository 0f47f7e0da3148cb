from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects import provider_error
from proxy.dialects.provider_error import ProviderError
from proxy.providers import refusal
from proxy.providers.refusal import LONGEST, Refusal
from tests.support.recorded import MISSING, Case, cases

NOON = 1_800_000_000.0


def read(status: int, body: object = b"", **headers: str) -> Refusal:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return refusal.read(status, lines, body if isinstance(body, bytes) else json.dumps(body).encode(), NOON)


def says(message: str, **members: object) -> dict[str, Any]:
    return {"error": {"message": message, **members}}


# Status alone


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "rate_limited"),
        (408, "server_error"),
        (425, "server_error"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "server_error"),
        (529, "server_error"),
        (599, "server_error"),
        (401, "auth"),
        (402, "payment_required"),
        (403, "forbidden"),
        (404, "not_found"),
        (400, "other"),
        (405, "other"),
        (413, "too_large"),
        (422, "other"),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>no</html>", b"{", b"null", b'{"error":null}', b'{"error":{"message":"No."}}']
)
def test_a_status_alone_has_a_meaning(status: int, kind: str, body: bytes) -> None:
    assert read(status, body).kind == kind


# What providers say


CONTEXT: list[tuple[str, int, object]] = [
    ("OpenAI chat", 400, says("This model's maximum context length is 128000 tokens. However, your messages resulted in 204308 tokens. Please reduce the length of the messages.", type="invalid_request_error", param="messages", code="context_length_exceeded")),
    ("a code without a sentence", 400, says("Too long.", code="context_length_exceeded")),
    ("Anthropic with max_tokens", 400, says("input length and `max_tokens` exceed context limit: 199211 + 8192 > 200000, decrease input length or `max_tokens` and try again", type="invalid_request_error")),
    ("Vertex", 400, [says("Unable to submit request because the input token count is 1251952 but model only supports up to 1048576. Reduce the input token count and try again.", code=400, status="INVALID_ARGUMENT")]),
    ("Gemini", 400, [says("The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).", code=400, status="INVALID_ARGUMENT")]),
    ("Mistral", 400, {"object": "error", "message": "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 maximum context length", "type": "invalid_request_prompt", "code": "3051"}),
    ("Groq", 400, says("Please reduce the length of the messages or completion.", type="invalid_request_error", param="messages", code="context_length_exceeded")),
    ("xAI", 400, {"code": "invalid-argument", "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}),
    ("Together", 422, says("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 9000 `inputs` tokens and 512 `max_new_tokens`", type="invalid_request_error")),
    ("Fireworks", 400, says("The prompt is too long: 216000, model maximum context length: 131071", type="invalid_request_error")),
    ("vLLM's flat body", 400, {"object": "error", "message": "This model's maximum context length is 131072 tokens. However, you requested 156632 tokens (152536 in the messages, 4096 in the completion). Please reduce the length of the messages or completion.", "type": "BadRequestError", "param": None, "code": 400}),
    ("vLLM, the output is too long", 400, says("'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 4096 tokens and your request has 2104 input tokens (2000 > 4096 - 2104).")),
    ("vLLM's newer words", 400, says("You passed 9000 input tokens and requested 1 output tokens. However, the model's context length is only 8192 tokens.")),
    ("vLLM's engine", 400, says("The decoder prompt (length 5016) is longer than the maximum model length of 4096.")),
    ("vLLM's engine, otherwise", 400, says("The prompt (total length 25938) is too long to fit into the model (context length 4096).")),
    ("SGLang", 400, {"object": "error", "message": "The input (9000 tokens) is longer than the model's context length (8192 tokens)."}),
    ("llama.cpp", 400, says("request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it", code=400, type="exceed_context_size_error", n_ctx=8192)),
    ("Ollama", 400, says("prompt too long; exceeded max context length by 12 tokens", type="invalid_request_error")),
    ("Ollama's embeddings", 400, says("the input length exceeds the context length", type="api_error")),
    ("LM Studio", 400, {"error": "Trying to keep the first 9000 tokens when tokens to keep from the initial prompt is greater than the context length."}),
    ("Cohere", 400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292. Try using a shorter prompt."}),
    ("Bedrock", 400, {"message": "Input is too long for requested model."}),
    ("Bedrock, Claude's words", 400, {"message": "The model returned the following errors: prompt is too long: 903884 tokens > 200000 maximum"}),
    ("Bedrock, otherwise", 400, {"message": "Too many input tokens. Max input tokens: 8192, request input token count: 9000"}),
    ("Moonshot", 400, says("Invalid request: Your request exceeded model token limit: 131072 (requested: 200000)", type="invalid_request_error")),
    ("MiniMax", 400, says("invalid params, context window exceeds limit (2013)")),
    ("Cerebras", 400, {"message": "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192", "code": "context_length_exceeded"}),
    ("Perplexity", 400, says("The total length of all messages is too long.", code=400)),
    ("DashScope", 400, says("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]", code="invalid_parameter_error")),
    ("OpenRouter, of a provider's own error", 400, says("Provider returned error", code=400, metadata={"raw": '{"error":{"message":"prompt is too long: 213462 tokens > 200000 maximum"}}', "provider_name": "Anthropic"})),
    ("OpenRouter, of a provider's plain words", 400, says("Provider returned error", code=400, metadata={"raw": "ERROR: Input is too long for requested model."})),
    ("a payload that is too large in the provider's words", 413, says("prompt is too long")),
    ("plain text", 400, b"maximum context length exceeded"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "status", "body"), CONTEXT, ids=[case[0] for case in CONTEXT])
def test_context_length_errors_of_each_provider_are_recognized(provider: str, status: int, body: object) -> None:
    assert read(status, body).kind == "context_length"


FILTER: list[tuple[str, int, object]] = [
    ("Azure", 400, says("The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.", type=None, param="prompt", code="content_filter", status=400, innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": False}}})),
    ("Azure's inner error alone", 400, says("Bad request", innererror={"code": "ResponsibleAIPolicyViolation"})),
    ("Anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}}),
    ("OpenAI's images", 400, says("Your request was rejected as a result of our safety system.", type="user_error", code="moderation_blocked")),
    ("OpenAI's older images", 400, says("Your request was rejected.", code="content_policy_violation")),
    ("OpenAI's reasoning models", 400, says("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt")),
    ("DeepSeek", 400, says("Content Exists Risk", type="invalid_request_error")),
    ("DashScope", 400, says("<400> InternalError.Algo.DataInspectionFailed: Input text data may contain inappropriate content.", code="data_inspection_failed")),
    ("xAI", 403, {"code": "The caller does not have permission to execute the specified operation", "error": "Content violates usage guidelines. Team: t, Model: grok-4-0709, Failed check: SAFETY_CHECK_TYPE_BIO"}),
    ("OpenRouter", 403, says("openai/gpt-4 requires moderation on OpenInference. Your input was flagged for \"violence\". No credits were charged.", code=403, metadata={"reasons": ["violence"], "flagged_input": "..."})),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "status", "body"), FILTER, ids=[case[0] for case in FILTER])
def test_content_filter_errors_of_each_provider_are_recognized(provider: str, status: int, body: object) -> None:
    assert read(status, body).kind == "content_filter"


UNKNOWN: list[tuple[str, object]] = [
    ("OpenAI", says("The model `gpt-4.1-nano-wrong` does not exist or you do not have access to it.", code="model_not_found")),
    ("a code without a sentence", says("No.", code="model_not_found")),
    ("Azure", {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}}),
    ("GitHub Models", {"error": {"code": "unknown_model", "message": "Unknown model: /gpt-5.2", "details": "Unknown model: /gpt-5.2"}}),
    ("Anthropic", {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-3-5-sonnet-20241022"}}),
    ("Gemini", [says("models/gemini-1.0-pro is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models.", code=404, status="NOT_FOUND")]),
    ("xAI", {"code": "Some requested entity was not found", "error": "The model grok-beta does not exist or your team bdc397fa does not have access to it."}),
    ("Fireworks", {"message": "Model not found, inaccessible, and/or not deployed", "param": "model", "code": "NOT_FOUND", "type": "error"}),
    ("Cohere", {"message": "model 'command-xlarge-beta' not found, make sure the correct model ID was used and that you have access to the model."}),
    ("vLLM", {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "param": None, "code": 404}),
    ("Ollama", says('model "qwen3:0.6b" not found, try pulling it first', type="api_error", param=None, code=None)),
    ("Ollama's own API", {"error": "model 'llama2' not found"}),
    ("OpenRouter", says("No endpoints found for stepfun/step-3.5-flash:free.", code=404)),
    ("OpenRouter, otherwise", says("No endpoints found for this model.", code=404)),
    ("OpenRouter, of a name", says("nothing/at-all is not a valid model ID", code=404)),
    ("Mistral", {"object": "error", "message": "Invalid model: mistral-huge", "type": "invalid_model", "param": None, "code": "1500"}),
    ("DeepSeek", says("Model Not Exist", type="invalid_request_error")),
    ("Together", says("Unable to access non-serverless model mistralai/Mistral-Small. Please visit the site to start an endpoint.", code="model_not_available")),
    ("Bedrock", {"message": "The provided model identifier is invalid."}),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "body"), UNKNOWN, ids=[case[0] for case in UNKNOWN])
def test_missing_model_errors_of_each_provider_are_recognized(provider: str, body: object) -> None:
    assert read(404, body).kind == "model_missing"


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Not Found"},
        {"error": {"code": "404", "message": "Resource not found"}},
        b"404 page not found",
        says("Invalid URL (POST /v1/chat/completion)", type="invalid_request_error"),
        says(
            "No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs",
            code=404,
        ),
        says("No endpoints available matching your guardrail restrictions and data policy.", code=404),
        says("File Not Found", code=404, type="not_found_error"),
    ],
)
def test_any_other_404_is_not_about_the_model(body: object) -> None:
    assert read(404, body).kind == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        says("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", param="input"),
        says("Item with id 'the model does not exist' not found.", param=None),
        says("Previous response with id 'resp_1' not found.", code="previous_response_not_found"),
        says("No file found with id 'file-1'.", param="id"),
        says("Unknown reference.", param="previous_response_id"),
        says("The model `x` does not exist.", param="tools[0].model"),
        says("No such File object: file-1"),
        says("Conversation with id 'conv_1' not found."),
    ],
)
def test_a_404_about_a_referenced_object_differs_from_one_about_the_path(body: object) -> None:
    assert read(404, body).kind == "item_missing"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, says("Model Not Exist", type="invalid_request_error", code="invalid_request_error")),
        (400, says("The model `llama3-70b-8192` has been decommissioned and is no longer supported.", code="model_decommissioned")),
        (400, says("The requested model 'gpt-x' does not exist.", code="model_not_found")),
        (400, {"object": "error", "message": "Invalid model: mistral-x", "type": "invalid_model", "code": "1500"}),
        (400, says("nothing/at-all is not a valid model ID", code=400)),
        (404, {"status": 404, "title": "Not Found", "detail": "Function '23d4f03a': Not found for account 'BDnm'"}),
        (410, {"type": "about:blank", "title": "Gone", "status": 410, "detail": "The model 'z-ai/glm4.7' has reached its end of life on 2026-05-14T00:00:00Z and is no longer available."}),
        (410, says("The model `x` does not exist", code="model_not_found")),
    ],
)  # fmt: skip
def test_a_missing_model_is_recognized_with_a_400_or_a_410_too(status: int, body: object) -> None:
    assert read(status, body).kind == "model_missing"


def test_a_410_without_a_known_phrase_is_like_a_404() -> None:
    assert read(410, b"Gone").kind == "not_found"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # Not a word counts where the status says it all.
        (429, says("maximum context length", code="context_length_exceeded"), "rate_limited"),
        (503, says("The model `x` does not exist"), "server_error"),
        (422, says("The model `x` does not exist", code="model_not_found"), "other"),
        (400, says("Invalid value: 'the model `x` does not exist'."), "other"),
        (401, says("content_filter"), "auth"),
        (402, says("Prompt tokens limit exceeded: 9000 > 1000. Add credits.", code=402), "payment_required"),
        # Limits of something else than the context.
        (400, says("max_tokens is too large: 100000. This model supports at most 16384 completion tokens."), "other"),
        (400, says("Invalid 'user': string too long. Expected a string with maximum length 64.", code="string_above_max_length"), "other"),
    ],
)  # fmt: skip
def test_phrases_apply_only_to_their_statuses(status: int, body: object, kind: str) -> None:
    assert read(status, body).kind == kind


def test_a_quoted_prompt_is_not_a_provider_phrase() -> None:
    prompt = "Explain: prompt is too long; content_filter; the model does not exist"
    body = {
        "detail": [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": {"messages": [{"content": prompt}]}}],
        "error": {"message": "Invalid", "failed_generation": prompt, "metadata": {"flagged_input": prompt}},
    }  # fmt: skip
    assert read(422, body).kind == "other"
    assert read(404, body).kind == "not_found"


# Who is to blame: the key, the account, the deployment, or this request

BLAME: list[tuple[str, int, object, str]] = [
    ("OpenAI, a wrong key", 401, says("Incorrect API key provided: sk-a***b.", type="invalid_request_error", code="invalid_api_key"), "auth"),
    ("OpenAI, a key without this scope", 401, says("You have insufficient permissions for this operation. Missing scopes: api.model.images.request.", code="missing_scope"), "forbidden"),
    ("Gemini, a wrong key", 400, [says("API key not valid. Please pass a valid API key.", code=400, status="INVALID_ARGUMENT", details=[{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}])], "auth"),
    ("Gemini, by its reason alone", 400, says("Bad.", code=400, details=[{"reason": "API_KEY_INVALID"}]), "auth"),
    ("Gemini, an old key", 400, says("API key expired. Please renew the API key.", code=400, status="INVALID_ARGUMENT"), "auth"),
    ("Gemini, an unknown key", 400, says("API Key not found. Please pass a valid API key.", code=400, status="INVALID_ARGUMENT"), "auth"),
    ("Gemini, a suspended key", 403, says("Permission denied: Consumer 'api_key:AIza' has been suspended.", code=403, status="PERMISSION_DENIED", details=[{"reason": "CONSUMER_SUSPENDED"}]), "auth"),
    ("Gemini, a project without the API", 403, says("Generative Language API has not been used in project 1 before or it is disabled.", code=403, details=[{"reason": "SERVICE_DISABLED"}]), "auth"),
    ("Gemini, a key for other APIs", 403, says("Requests to this API are blocked.", code=403, details=[{"reason": "API_KEY_SERVICE_BLOCKED"}]), "auth"),
    ("Gemini, a leaked key", 403, says("Your API key was reported as leaked. Please use another API key.", code=403, status="PERMISSION_DENIED"), "auth"),
    ("Gemini, a banned project", 403, says("Your project has been denied access. Please contact support.", code=403, status="PERMISSION_DENIED"), "auth"),
    ("AWS, a wrong signature", 403, {"message": "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."}, "auth"),
    ("AWS, an old signature", 403, {"message": "Signature expired: 20261128T000000Z is now earlier than 20261128T001000Z"}, "auth"),
    ("AWS, another region", 403, {"message": "Credential should be scoped to a valid region, not 'eu-west-9'."}, "auth"),
    ("AWS, unknown keys", 403, {"message": "The security token included in the request is invalid."}, "auth"),
    ("AWS, keys that ended", 403, {"message": "The security token included in the request is expired"}, "auth"),
    ("AWS, a missing permission", 403, {"message": "User: arn:aws:iam::1:user/x is not authorized to perform: bedrock:InvokeModel"}, "forbidden"),
    ("Vertex, a model of another place", 404, says(f"Publisher Model `projects/{'p' * 60}/locations/europe-west4/publishers/google/models/{'m' * 40}` was not found or your project does not have access to it.", code=404, status="NOT_FOUND"), "model_missing"),
    ("Gemini, something else forbidden", 403, says("You do not have permission to access the File x or it may not exist.", code=403, status="PERMISSION_DENIED"), "forbidden"),
    ("Gemini, a place that is not served", 400, [says("User location is not supported for the API use.", code=400, status="FAILED_PRECONDITION")], "forbidden"),
    ("Gemini, a place without a free tier", 400, says("Gemini API free tier is not available in your country. Please enable billing on your project in Google AI Studio.", code=400, status="FAILED_PRECONDITION"), "forbidden"),
    ("Gemini, another failed precondition", 400, says("The File x is not in an ACTIVE state and usage is not allowed.", code=400, status="FAILED_PRECONDITION"), "other"),
    ("Gemini, overloaded", 503, says("The model is overloaded. Please try again later.", code=503, status="UNAVAILABLE"), "server_error"),
    ("Gemini, a limit of a day", 429, says("You exceeded your current quota, please check your plan and billing details. Please retry in 33.6s.", code=429, status="RESOURCE_EXHAUSTED", details=[{"violations": [{"quotaId": "GenerateContentInputTokensPerModelPerMinute-FreeTier"}, {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]), "out_of_quota"),
    ("Gemini, no quota at all", 429, says("You exceeded your current quota, please check your plan and billing details.\n* Quota exceeded for metric: x/generate_content_free_tier_requests, limit: 0, model: gemini-3-pro\nPlease retry in 3s.", code=429, status="RESOURCE_EXHAUSTED"), "out_of_quota"),
    ("xAI, a wrong key", 400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***yz. You can obtain an API key from https://console.x.ai."}, "auth"),
    ("OpenAI, a model that the project may not use", 403, says("Project `proj_JMo3Q9spNIEWhSxusokLegJY` does not have access to model `gpt-4.1`", type="invalid_request_error", code="model_not_found"), "model_missing"),
    ("OpenAI, without its code", 403, says("Project `proj_JMo3Q9spNIEWhSxusokLegJY` does not have access to model `gpt-4.1`"), "model_missing"),
    ("Groq, a model that is blocked", 403, says("The model `m` is blocked at the project level.", type="permissions_error", code="model_permission_blocked_project"), "model_missing"),
    ("Bedrock", 403, {"message": "You don't have access to the model with the specified model ID."}, "model_missing"),
    ("a guardrail that quotes the prompt", 403, says("Blocked: 'Project x does not have access to model y'"), "forbidden"),
    ("a firewall that blocks the prompt", 403, b"<html><title>Attention Required! | Cloudflare</title></html>", "forbidden"),
    ("OpenAI, a country", 403, says("Country, region, or territory not supported", code="unsupported_country_region_territory"), "forbidden"),
    ("OpenRouter, max_tokens", 402, says("This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 1200. To increase, visit https://openrouter.ai/settings/credits", code=402), "other"),
    ("OpenRouter, nothing left", 402, says("This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens, but can only afford 0.", code=402), "payment_required"),
    ("DeepSeek", 402, says("Insufficient Balance", type="unknown_error", code="invalid_request_error"), "payment_required"),
    ("OpenAI, larger than the limit", 429, says("Request too large for gpt-4o in organization org-78asdf87asdf9aaa8976 on tokens per min (TPM): Limit 30000, Requested 31538. The input or output tokens must be reduced in order to run successfully.", type="tokens", code="rate_limit_exceeded"), "too_large"),
    ("OpenAI, the limit is used up", 429, says("Rate limit reached for gpt-4o in organization org-7 on tokens per min (TPM): Limit 30000, Used 29000, Requested 1500. Please try again in 1s.", type="tokens", code="rate_limit_exceeded"), "rate_limited"),
    ("OpenAI, larger in the other words", 429, says("Rate limit reached for gpt-4o on tokens per min. Limit: 10000, Used 0, Requested: 10001."), "too_large"),
    ("Groq", 413, says("Request too large for model `m` in organization `org_01` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 9014, please reduce your message size and try again.", type="tokens", code="rate_limit_exceeded"), "too_large"),
    ("nginx in front of a server", 413, b"<html><h1>413 Request Entity Too Large</h1></html>", "too_large"),
    ("Anthropic, long context", 429, says("Extra usage is required for long context requests.", type="rate_limit_error"), "too_large"),
    ("Anthropic, long context in newer words", 429, says("Usage credits are required for long context requests.", type="rate_limit_error"), "too_large"),
    ("Anthropic, too many bytes", 413, says("Request exceeds the maximum size", type="request_too_large"), "too_large"),
    ("Anthropic, a limit of a minute", 429, says("This request would exceed your account's rate limit. Please try again later.", type="rate_limit_error"), "rate_limited"),
    ("Anthropic, overloaded", 529, says("Overloaded", type="overloaded_error"), "server_error"),
    ("Anthropic, no credit", 400, says("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.", type="invalid_request_error"), "out_of_quota"),
    ("Anthropic, the month's limit", 400, says("You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.", type="invalid_request_error"), "out_of_quota"),
    ("Anthropic, the tier's limit", 429, says("Limit reached.", type="rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), "out_of_quota"),
    ("Anthropic, the contract's limit", 429, says("Limit reached.", type="rate_limit_error", details={"error_code": "contract_spend_limit_reached"}), "out_of_quota"),
    ("Anthropic, a growing use", 429, says("Slow down.", type="rate_limit_error", details={"error_code": "ramp_limit_exceeded"}), "rate_limited"),
    ("Anthropic, of a linked organization", 402, says("Limit reached.", type="billing_error", details={"error_code": "linked_organization_spend_limit_reached"}), "payment_required"),
    ("Anthropic, a disabled organization", 400, says("This organization has been disabled.", type="invalid_request_error"), "auth"),
    ("Anthropic, an organization on hold", 400, says("Not allowed.", type="invalid_request_error", details={"error_code": "organization_on_hold", "appeal_url": "https://example.com"}), "auth"),
    ("Anthropic, a wrong key", 401, says("invalid x-api-key", type="authentication_error"), "auth"),
    ("Anthropic, a client's text about credit", 400, says("messages.0: 'your credit balance is too low'", type="invalid_request_error"), "other"),
    ("OpenAI, nothing paid", 429, says("You exceeded your current quota, please check your plan and billing details.", type="insufficient_quota", code="insufficient_quota"), "out_of_quota"),
    ("Moonshot, nothing paid", 429, says("Your account is suspended", type="exceeded_current_quota_error"), "out_of_quota"),
    ("Gemini, a limit of a minute", 429, [says("You exceeded your current quota, please check your plan and billing details. Please retry in 33.6s.", code=429, status="RESOURCE_EXHAUSTED")], "rate_limited"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "status", "body", "kind"), BLAME, ids=[case[0] for case in BLAME])
def test_an_error_body_is_classified_before_the_breaker_counts_it(
    provider: str, status: int, body: object, kind: str
) -> None:
    assert read(status, body).kind == kind


@pytest.mark.parametrize("wording", ["API key not valid", "API_KEY_INVALID", "Incorrect API key provided"])
def test_a_quoted_invalid_value_is_not_about_our_key(wording: str) -> None:
    """A client must not cause a key's cooldown with a crafted value."""
    assert read(400, says(f"Invalid value: '{wording}'. Supported values are: 'low', 'high'.")).kind == "other"
    assert read(400, says(f"Invalid value: '\n{wording}'.")).kind == "other"


@pytest.mark.parametrize(
    "members",
    [{"code": "previous_response_not_found"}, {"param": "previous_response_id"}, {"param": "input", "code": None}],
)
def test_a_quoted_client_id_is_not_about_the_model(members: dict[str, object]) -> None:
    body = says("Previous response with id 'the model does not exist' not found.", **members)
    assert read(404, body).kind == "item_missing"
    assert refusal.of_error(provider_error.find({"error": body["error"] | {"status": 404}})).kind == "refused_in_answer"


# Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"Retry_After": " 7 "}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": formatdate(NOON + 90, usegmt=True)}, 90.0),
        ({"retry_after": formatdate(NOON - 90, usegmt=True)}, 0.0),
        ({"retry_after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0.0),
        ({"retry_after": "Sunday, 06-Nov-94 08:49:37 GMT"}, 0.0),
        ({"retry_after": "99999999999"}, LONGEST),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "Fri, 99 Dec 2026 23:59:59 GMT"}, None),
        ({"retry_after_ms": "1204"}, 1.204),
        ({"retry_after": "1", "retry_after_ms": "0"}, 1.0),
        ({"retry_after_ms": "1204", "retry_after": "soon"}, 1.204),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(headers: dict[str, str], seconds: float | None) -> None:
    assert read(429, **headers).retry_after == seconds
    assert read(503, **headers).retry_after == seconds


def retry_info(delay: object) -> dict[str, Any]:
    return says("Wait.", code=429, details=[{"@type": "type.googleapis.com/google.rpc.Help"}, {"retryDelay": delay}])


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("48s", 48.0), ("34.4s", 34.4), ("21599.960323804s", 21599.960323804), ("0s", 0.0), ("999999s", LONGEST)]
    + [(each, None) for each in ("48", "-1s", "s", "1e9s", "soon", "\u0664s", None, 48, {"seconds": 48})],
)
@pytest.mark.parametrize("status", [429, 503])
def test_without_a_header_the_retry_info_of_google_counts(delay: object, seconds: float | None, status: int) -> None:
    assert read(status, retry_info(delay)).retry_after == seconds
    assert read(status, [retry_info(delay)]).retry_after == seconds
    assert read(status, retry_info(delay), retry_after="3").retry_after == 3.0


def test_only_a_refusal_that_waiting_helps_has_a_retry_info() -> None:
    assert read(400, retry_info("48s")).retry_after is None


@pytest.mark.parametrize("details", [None, {}, "48s", [None], ["48s"], [{}], [{"retryDelay": "x"}] * 3])
def test_details_of_another_shape_are_no_retry_info(details: object) -> None:
    assert read(429, says("Wait.", details=details)).retry_after is None


# Errors that came with a 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (says("Rate limit reached", code="rate_limit_exceeded", type="tokens"), "rate_limited"),
        (says("Slow down", code=429), "rate_limited"),
        (says("You exceeded your current quota", code="insufficient_quota"), "out_of_quota"),
        (says("Request too large for m: Limit 10, Requested 11", code="rate_limit_exceeded"), "too_large"),
        (says("Insufficient credits", code=402), "payment_required"),
        (says("Overloaded", type="overloaded_error"), "server_error"),
        (says("Internal server error", type="api_error"), "server_error"),
        (says("Timed out", type="timeout_error"), "server_error"),
        (says("Rate limited", type="rate_limit_error"), "rate_limited"),
        (says("Not yours", type="permission_error"), "forbidden"),
        (says("Pay first", type="billing_error"), "payment_required"),
        (says("Too many bytes", type="request_too_large"), "too_large"),
        (says("model: claude-0", type="not_found_error"), "model_missing"),
        (says("prompt is too long: 300000 tokens > 200000 maximum", type="invalid_request_error"), "context_length"),
        (says("requires more credits, or fewer max_tokens", code=402), "other"),
        (says("Not from here", code=403), "forbidden"),
        (says("No.", type="invalid_request_error", code="model_not_found"), "model_missing"),
        (says("Bad tool", code=400), "refused_in_answer"),
        (says("Slow down", code=408), "server_error"),
        (says("Rate limit exceeded: free-models-per-day"), "rate_limited"),
        (says("This model's maximum context length is 8192 tokens.", code=400), "context_length"),
        (says("Too long", code="context_length_exceeded"), "context_length"),
        (says("flagged", code="content_filter"), "content_filter"),
        (says("Your input was flagged", code=403), "content_filter"),
        (says("The model `x` does not exist", code="model_not_found"), "model_missing"),
        (says("model 'x' not found"), "model_missing"),
        (says("Internal error", code=500), "server_error"),
        (says("Invalid key", code=401), "auth"),
        (says("Tool choice is required, but model did not call a tool", code="tool_use_failed", status_code=400), "refused_in_answer"),
        ({"error": "something"}, "server_error"),
    ],
)  # fmt: skip
def test_an_error_inside_a_200_has_its_meaning_or_is_a_server_error(body: object, kind: str) -> None:
    assert refusal.of_error(provider_error.find(body)).kind == kind


def test_an_error_without_a_message_is_a_server_error() -> None:
    assert refusal.of_error(None) == refusal.of_error(ProviderError()) == Refusal("server_error")


# Recorded

RECORDED = {
    "anthropic/messages-error-400-context": Refusal("context_length"),
    "azure/chat-error-429-retry-after": Refusal("rate_limited", 1.0),
    "deepseek/chat-error-400-context": Refusal("context_length"),
    "gemini/json-429-quota": Refusal("rate_limited", 48.0),
    "openai/chat-error-400": Refusal("other"),
    "openai/chat-error-404-model": Refusal("model_missing"),
    "openai/responses-json-error-401": Refusal("auth"),
    "openai/responses-json-error-context": Refusal("context_length"),
    "openrouter/chat-error-400-context": Refusal("context_length"),
}
IN_STREAM = {
    "composed/anthropic-overloaded-midstream": "server_error",
    "groq/chat-stream-error-event": "refused_in_answer",
    "openai/responses-stream-ratelimit-error": "too_large",
    "openrouter/chat-stream-midstream-error": "refused_in_answer",
}
ALL = cases()
recorded = pytest.mark.skipif(not ALL, reason=MISSING)


@recorded
def test_every_recorded_error_is_classified() -> None:
    refused = {str(case): case for case in ALL if case.status >= 400}
    found = {name: _read(case) for name, case in refused.items()}
    assert found == RECORDED


def _read(case: Case) -> Refusal:
    headers = [(name.encode(), value.encode()) for name, value in case.headers]
    return refusal.read(case.status, headers, case.response, NOON)


@recorded
@pytest.mark.parametrize(("name", "kind"), IN_STREAM.items())
def test_every_recorded_error_in_a_stream_is_classified(name: str, kind: str) -> None:
    (case,) = [case for case in ALL if str(case) == name]
    events = [line.partition(b":")[2] for line in case.response.splitlines() if line.startswith(b"data:")]
    errors = [error for event in events if (error := provider_error.refused(event))]
    assert [refusal.of_error(error).kind for error in errors] == [kind]


# Whatever else comes


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "metadata", "raw", "detail", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(st.integers(400, 599), json_like.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_arbitrary_bodies_do_not_raise(status: int, body: bytes) -> None:
    assert refusal.read(status, [(b"retry-after", body[:20])], body, NOON).kind


def test_deep_and_long_bodies_are_read_within_bounds() -> None:
    nested = b'{"error":' * 3000 + b"1" + b"}" * 3000
    assert read(400, nested).kind == "other"
    assert read(400, says("x" * 5_000_000 + " prompt is too long")).kind == "other"
    assert read(400, {"detail": [{"msg": "x"}] * 100_000}).kind == "other"
    raw: object = {"metadata": {"raw": "prompt is too long"}}
    for _ in range(10):
        raw = {"metadata": {"raw": json.dumps(raw)}}
    assert read(400, raw).kind in ("other", "context_length")
