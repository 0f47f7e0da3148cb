"""What answers say beside text, reasoning and calls."""

from __future__ import annotations

from tests.translation import chat_provider, gemini_provider, messages_provider, responses_provider
from tests.translation.cells import Api, But, Feature, Json
from tests.translation.rig import FINE

NO = "I will not."
REFUSES: dict[Api, Json] = {
    "chat": chat_provider.answer(refusal=NO),
    "responses": responses_provider.answer(responses_provider.refusal(NO)),
    "messages": messages_provider.answer(messages_provider.text(NO), finish="refusal"),
}

REFUSALS = [
    Feature(
        "Refusal",
        answer=REFUSES,
        gets={
            "chat": {"choices": [{"finish_reason": "content_filter", "message": {"content": NO}}]},
            "responses": {"output": [{"content": [{"type": "refusal", "refusal": NO}]}]},
            "messages": {"content": [{"type": "text", "text": NO}], "stop_reason": "refusal"},
            "gemini": {"candidates": [{"content": {"parts": [{"text": NO}]}, "finishReason": "SAFETY"}]},
        },
        providers=("chat", "responses", "messages"),
        but={
            ("chat", "responses"): But(gets={"choices": [{"finish_reason": "stop", "message": {"refusal": NO}}]}),
            ("responses", "messages"): But(gets={"output": [{"content": [{"type": "output_text", "text": NO}, {"type": "refusal"}]}]}),
        },
    ),
]  # fmt: skip

R_CUT: Json = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
R_FILTERED: Json = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}


def ended(chat: str, messages: str, gemini: str) -> dict[Api, Json]:
    """Answers of the usual text that ended for this reason, as clients get them."""
    return {
        "chat": {"choices": [{"finish_reason": chat, "message": {"content": FINE}}]},
        "messages": {"content": [{"type": "text", "text": FINE}], "stop_reason": messages},
        "gemini": {"candidates": [{"content": {"parts": [{"text": FINE}]}, "finishReason": gemini}]},
    }


LENGTH: dict[Api, Json] = ended("length", "max_tokens", "MAX_TOKENS") | {"responses": R_CUT}
FILTERED: dict[Api, Json] = ended("content_filter", "refusal", "SAFETY") | {"responses": R_FILTERED}
STOPS: dict[Api, Json] = {
    "chat": {"stop": ["END"]},
    "messages": {"stop_sequences": ["END"]},
    "gemini": {"generationConfig": {"stopSequences": ["END"]}},
}
BLOCKED: Json = {
    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
    "usageMetadata": {"promptTokenCount": 90, "totalTokenCount": 90},
    "modelVersion": "gemini-up",
    "responseId": "r1",
}

ENDS = [
    Feature(
        "Answer cut by its limit",
        answer={
            "chat": chat_provider.answer("length", content=FINE),
            "responses": responses_provider.answer(responses_provider.text(FINE), status="incomplete"),
            "messages": messages_provider.answer(messages_provider.text(FINE), finish="max_tokens"),
            "gemini": gemini_provider.answer(gemini_provider.text(FINE), finish="MAX_TOKENS"),
        },
        gets=LENGTH,
    ),
    Feature(
        "Answer cut by its limit", "context",
        answer={
            "chat": chat_provider.answer("model_length", content=FINE),
            "messages": messages_provider.answer(messages_provider.text(FINE), finish="model_context_window_exceeded"),
        },
        gets=LENGTH | {"messages": {"stop_reason": "model_context_window_exceeded"}},
        providers=("chat", "messages"),
    ),
    Feature(
        "Answer cut by a content filter",
        answer={
            "chat": chat_provider.answer("content_filter", content=FINE),
            "responses": responses_provider.answer(
                responses_provider.text(FINE), status="incomplete", incomplete_details={"reason": "content_filter"}
            ),
            "gemini": gemini_provider.answer(gemini_provider.text(FINE), finish="RECITATION"),
        },
        gets=FILTERED,
        providers=("chat", "responses", "gemini"),
    ),
    Feature(
        "Request that a content filter blocks",
        call={"chat": {}, "responses": {}, "messages": {}},
        answer={"gemini": BLOCKED},
        gets={
            "chat": {"choices": [{"finish_reason": "content_filter"}]},
            "responses": R_FILTERED,
            "messages": {"content": [], "stop_reason": "refusal"},
        },
        providers=("gemini",),
    ),
    Feature(
        "Answer ended by a stop sequence",
        call=STOPS, sent=STOPS,
        answer={
            "chat": chat_provider.answer(content=FINE, stop_reason="END"),
            "messages": messages_provider.answer(messages_provider.text(FINE), finish="stop_sequence", stop_sequence="END"),
            "gemini": gemini_provider.answer(gemini_provider.text(FINE)),
        },
        gets={
            "chat": {"choices": [{"finish_reason": "stop"}]},
            "messages": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
            "gemini": {"candidates": [{"finishReason": "STOP"}]},
        },
        providers=("chat", "messages", "gemini"),
        # Google does not say that it was one.
        but={("messages", "gemini"): But(gets={"stop_reason": "end_turn"})},
    ),
]  # fmt: skip

TOKENS = [
    {
        "token": token,
        "logprob": -0.5,
        "bytes": list(token.encode()),
        "top_logprobs": [{"token": "x", "logprob": -2.5, "bytes": [120]}],
    }
    for token in ("Fine", ", thanks.")
]
G_TOKENS: Json = {
    "chosenCandidates": [{"token": each["token"], "logProbability": -0.5} for each in TOKENS],
    "topCandidates": [{"candidates": [{"token": "x", "logProbability": -2.5}]} for _ in TOKENS],
}
WANTED: dict[Api, Json] = {
    "chat": {"logprobs": True, "top_logprobs": 2},
    "responses": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "gemini": {"generationConfig": {"responseLogprobs": True, "logprobs": 2}},
}
WEIGHED: dict[Api, Json] = {
    "chat": chat_provider.answer(content=FINE, logprobs=TOKENS),
    "responses": responses_provider.answer(responses_provider.text(FINE, logprobs=TOKENS)),
    "gemini": gemini_provider.answer(gemini_provider.text(FINE), logprobsResult=G_TOKENS),
}
GETS_TOKENS: dict[Api, Json] = {
    "chat": {"choices": [{"message": {"content": FINE}, "logprobs": {"content": TOKENS}}]},
    "responses": {"output": [{"content": [{"text": FINE, "logprobs": TOKENS}]}]},
    "gemini": {"candidates": [{"content": {"parts": [{"text": FINE}]}, "logprobsResult": G_TOKENS}]},
}

LOGPROBS = [
    Feature(
        "Log probabilities",
        call=WANTED, sent={"chat": WANTED["chat"]}, answer={"chat": WEIGHED["chat"]},
        lost=dict.fromkeys(("responses", "messages", "gemini"), "told"),
        names={
            "chat": ("logprobs", "top_logprobs"),
            "responses": ("include[message.output_text.logprobs]", "top_logprobs"),
            "gemini": ("generationConfig.responseLogprobs", "generationConfig.logprobs"),
        },
        but={(client, "chat"): But(gets=gets) for client, gets in GETS_TOKENS.items()},
    ),
    Feature(
        "Log probabilities, for a model that has them",
        call=WANTED, sent=WANTED, answer=WEIGHED, gets=GETS_TOKENS,
        providers=("responses", "gemini"), model={"responses": "gpt-4.1", "gemini": "gemini-2.0-flash"},
    ),
]  # fmt: skip

SOURCE: Json = {"url": "https://a.example", "title": "A"}
PLACED: Json = {**SOURCE, "start_index": 0, "end_index": 4}
WHOLE: Json = PLACED | {"end_index": len(FINE)}
G_SOURCES: Json = {
    "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
    "groundingSupports": [{"segment": {"endIndex": 4}, "groundingChunkIndices": [0]}],
}
M_SOURCE: Json = {
    "type": "web_search_result_location", **SOURCE, "cited_text": "Fine", "encrypted_index": "x",
}  # fmt: skip

CITATIONS = [
    Feature(
        "Citations",
        answer={
            "chat": chat_provider.answer(content=FINE, annotations=[{"type": "url_citation", "url_citation": PLACED}]),
            "responses": responses_provider.answer(
                responses_provider.text(FINE, annotations=[{"type": "url_citation", **PLACED}])
            ),
            "messages": messages_provider.answer(messages_provider.text(FINE, citations=[M_SOURCE])),
            "gemini": gemini_provider.answer(gemini_provider.text(FINE), groundingMetadata=G_SOURCES),
        },
        gets={
            "chat": {"choices": [{"message": {"annotations": [{"type": "url_citation", "url_citation": PLACED}]}}]},
            "responses": {"output": [{"content": [{"annotations": [{"type": "url_citation", **PLACED}]}]}]},
            "messages": {"content": [{"type": "text", "text": FINE, "citations": [SOURCE]}]},
            "gemini": {"candidates": [{"groundingMetadata": G_SOURCES}]},
        },
        # Claude cites a source for the whole of a text.
        but={
            ("chat", "messages"): But(gets={"choices": [{"message": {"annotations": [{"url_citation": WHOLE | {"content": "Fine"}}]}}]}),
            ("responses", "messages"): But(gets={"output": [{"content": [{"annotations": [WHOLE]}]}]}, lost=("citations.quote",)),
            ("gemini", "messages"): But(
                gets={"candidates": [{"groundingMetadata": G_SOURCES | {"groundingSupports": [{"segment": {"endIndex": len(FINE)}, "groundingChunkIndices": [0]}]}}]},
                lost=("citations.quote",),
            ),
            # A message has no place for where in its text the source belongs.
            ("messages", "chat"): But(lost=("citations.place",)),
            ("messages", "responses"): But(lost=("citations.place",)),
            ("messages", "gemini"): But(lost=("citations.place",)),
        },
    ),
]  # fmt: skip

# 100 tokens read, of which 20 were in a cache and 10 are new in it; 30 written, of which 5 are reasoning. Google counts
# none that are new in a cache.
USAGES: dict[Api, Json] = {
    "chat": chat_provider.USAGE,
    "responses": responses_provider.USAGE,
    "messages": {
        "input_tokens": 70,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 10,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 5},
    },
    "gemini": gemini_provider.USAGE | {"promptTokenCount": 100, "totalTokenCount": 130},
}
OF_GEMINI: dict[Api, Json] = {
    "chat": chat_provider.USAGE | {"prompt_tokens": 90, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": None}},
    "responses": responses_provider.USAGE | {"input_tokens": 90, "total_tokens": 120, "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0}},
    "messages": USAGES["messages"] | {"cache_creation_input_tokens": 0},
}  # fmt: skip

USAGE = [
    Feature(
        "Usage with cache classes",
        gets={api: {"usageMetadata" if api == "gemini" else "usage": usage} for api, usage in USAGES.items()},
        but={(client, "gemini"): But(gets={"usage": usage}) for client, usage in OF_GEMINI.items()},
    ),
]

FEATURES = [*REFUSALS, *ENDS, *LOGPROBS, *CITATIONS, *USAGE]
