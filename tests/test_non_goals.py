"""What the gateway leaves to providers: each request for it gets a sentence in the client's form, and is sent nowhere."""

from __future__ import annotations

from typing import Any

from tests.support import Answer, Upstream
from tests.support.gateway import Gateway

Json = dict[str, Any]

# How the SDK of each API is known, and where its errors have the sentence.
HEADERS = {
    "gemini": [("x-goog-api-key", "any")],
    "messages": [("anthropic-version", "2023-06-01")],
    "openai": [("Authorization", "Bearer any")],
}
AGENTS = "Anthropic's managed agents are not served. Use messages,"
STATEFUL = "This path refers to objects that one provider keeps. To relay it, set defaultProvider"
FILES = "Files at Google are not served. Send the content in the request, as inlineData."
LIVE = "Google's Live API is not served. Use streamGenerateContent of a model."
INTERACTIONS = "Google's Interactions API is not served. Use generateContent or streamGenerateContent of a model"
GOOGLES_AGENTS = "Google's agents are not served. Use generateContent of a model"
BATCHES = "Batches are not served. Send each request to generateContent or batchEmbedContents of a model."
MESSAGE_BATCHES = "Batches of messages are not served. Send each of them to messages."
ADMINISTRATION = "The gateway does not relay requests for the administration of a provider's account."
BIDI = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"

PATHS = [
    ("gemini", "POST", "/v1beta/interactions", INTERACTIONS),
    ("gemini", "GET", "/v1beta/interactions/i1", INTERACTIONS),
    ("gemini", "POST", "/v1beta/interactions/i1/cancel", INTERACTIONS),
    ("gemini", "POST", "/v1beta/agents", GOOGLES_AGENTS),
    ("gemini", "GET", "/v1beta/environments/e1", GOOGLES_AGENTS),
    ("gemini", "GET", BIDI, LIVE),
    ("gemini", "POST", "/v1alpha/auth_tokens", LIVE),
    ("gemini", "POST", "/upload/v1beta/files", FILES),
    ("gemini", "GET", "/v1beta/files/f1", FILES),
    ("gemini", "POST", "/v1beta/files:register", FILES),
    ("gemini", "GET", "/v1beta/fileSearchStores", FILES),
    (
        "gemini",
        "POST",
        "/v1beta/cachedContents",
        "Caches at Google are not served. Send the content with each request.",
    ),
    ("gemini", "POST", "/v1beta/models/m:batchGenerateContent", BATCHES),
    ("gemini", "GET", "/v1beta/batches/b1", BATCHES),
    ("messages", "POST", "/v1/agents", AGENTS),
    ("messages", "POST", "/v1/agents/a1/archive", AGENTS),
    ("messages", "POST", "/v1/environments", AGENTS),
    ("messages", "GET", "/v1/sessions/s1/events/stream", AGENTS),
    ("messages", "POST", "/v1/sessions/s1/threads/t1/archive", AGENTS),
    ("messages", "GET", "/v1/vaults", AGENTS),
    ("messages", "POST", "/v1/threads", STATEFUL),
    ("messages", "POST", "/v1/messages/batches", MESSAGE_BATCHES),
    ("messages", "GET", "/v1/messages/batches/b1/results", MESSAGE_BATCHES),
    ("messages", "POST", "/anthropic/v1/messages/batches", MESSAGE_BATCHES),
    ("messages", "POST", "/v1/files", STATEFUL),
    ("messages", "GET", "/v1/skills", STATEFUL),
    ("messages", "GET", "/v1/organizations/users", ADMINISTRATION),
    ("openai", "GET", "/v1/responses/resp_1", STATEFUL),
    ("openai", "DELETE", "/v1/responses/resp_1", STATEFUL),
    ("openai", "POST", "/v1/responses/resp_1/cancel", STATEFUL),
    ("openai", "GET", "/v1/responses/resp_1/input_items", STATEFUL),
    ("openai", "POST", "/v1/responses/compact", "The gateway does not support this endpoint. To relay it"),
    ("openai", "POST", "/v1/conversations", STATEFUL),
    ("openai", "POST", "/v1/batches", STATEFUL),
    ("openai", "POST", "/v1/files", STATEFUL),
]

ASK: dict[str, tuple[str, Json]] = {
    "gemini": ("/v1beta/models/m:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}),
    "messages": ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}),
    "openai": ("/v1/responses", {"model": "m", "input": "Hi"}),
}
# Members that refer to state at one provider, or ask for it, where the model's provider has another API.
MEMBERS: list[tuple[str, Json]] = [
    ("gemini", {"cachedContent": "cachedContents/1"}),
    ("gemini", {"continuationToken": "t"}),
    ("messages", {"thread": {"type": "create"}}),
    ("messages", {"thread": {"type": "continue", "previous_message_id": "msg_1"}}),
    ("openai", {"previous_response_id": "resp_1"}),
    ("openai", {"conversation": {"id": "conv_1"}}),
    ("openai", {"background": True}),
    ("openai", {"prompt": {"id": "pmpt_1"}}),
]


def config(up: Upstream) -> Json:
    """A provider that speaks chat only."""
    provider = {"baseUrl": up.url, "dialects": {"responses": {"enabled": False}}}
    return {"providers": {"up": provider}, "models": [{"name": "m", "provider": "up"}]}


def sentence(api: str, answer: Answer) -> str:
    """The sentence of an error, in the form of the API."""
    error: Json = answer.json["error"]
    if api == "gemini":
        assert error["code"] == answer.status
        assert error["status"] in ("NOT_FOUND", "INVALID_ARGUMENT")
    elif api == "messages":
        assert answer.json["type"] == "error"
        assert error["type"] in ("not_found_error", "invalid_request_error", "permission_error")
    else:
        assert error.keys() == {"message", "type", "param", "code"}
    return str(error["message"])


async def test_each_path_gets_a_sentence_in_the_clients_form() -> None:
    async with Upstream() as up, Gateway(config(up)) as gw:
        client = await gw.client()
        for api, method, path, text in PATHS:
            answer = await client.fetch(method, path, headers=HEADERS[api], json={} if method == "POST" else None)
            assert answer.status == (403 if text == ADMINISTRATION else 404), path
            assert sentence(api, answer).startswith(text), path
        assert not up.requests


async def test_state_at_a_provider_is_refused_by_name_where_another_api_answers() -> None:
    async with Upstream() as up, Gateway(config(up)) as gw:
        client = await gw.client()
        for api, members in MEMBERS:
            path, body = ASK[api]
            answer = await client.fetch("POST", path, headers=HEADERS[api], json=body | members)
            (name,) = members
            text = f"{name!r} cannot be translated to the API of this model's provider."
            assert (answer.status, sentence(api, answer).startswith(text)) == (400, True), answer.body
        assert not up.requests


async def test_a_websocket_is_refused_so_that_codex_goes_on_without() -> None:
    async with Upstream() as up, Gateway(config(up)) as gw:
        upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        for api, path, status in (("openai", "/v1/responses", 426), ("gemini", BIDI, 501)):
            client = await gw.client()  # the gateway closes the connection
            answer = await client.fetch("GET", path, headers=HEADERS[api] + upgrade)
            assert (answer.status, "WebSocket" in answer.json["error"]["message"]) == (status, True)
        assert not up.requests
