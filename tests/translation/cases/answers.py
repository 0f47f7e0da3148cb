"""What answers say beside text and calls."""

from __future__ import annotations

from typing import Any

from tests.translation import chat_provider, messages_provider
from tests.translation.cells import C_M, M_C, OLD_CLAUDE, R_C, R_M, Case, Json

THOUGHT = "Let me think about that."
ANSWER = "Fine, thanks."
C_THINKS = chat_provider.answer(content=ANSWER, reasoning_content=THOUGHT)
M_THINKS = messages_provider.answer(
    {"type": "thinking", "thinking": THOUGHT, "signature": "c2lnbmF0dXJl"}, messages_provider.text(ANSWER)
)
R_SAID: Json = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ANSWER}]}
R_THOUGHT: Json = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": THOUGHT}]}

REASONING = [
    Case(
        "Reasoning text", M_C, answer=C_THINKS,
        gets={"content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": ANSWER}]},
    ),
    Case("Reasoning text", R_C, answer=C_THINKS, gets={"output": [R_THOUGHT, R_SAID]}),
    Case(
        "Reasoning text", C_M, answer=M_THINKS,
        gets={"choices": [{"message": {"reasoning_content": THOUGHT, "content": ANSWER}}]},
    ),
    Case("Reasoning text", R_M, answer=M_THINKS, gets={"output": [R_THOUGHT, R_SAID]}),
]  # fmt: skip


def history(**turn: Any) -> Json:
    """A conversation with an earlier answer."""
    hello = {"role": "user", "content": "Hi"}
    return {"messages": [hello, {"role": "assistant", "content": ANSWER, **turn}, hello]}


UNSIGNED: Json = history(
    content=[{"type": "thinking", "thinking": THOUGHT, "signature": ""}, {"type": "text", "text": ANSWER}]
)
R_UNSIGNED: Json = {
    "input": [
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": THOUGHT}]},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "Hi"},
    ]
}  # fmt: skip

SENT_BACK = [
    Case("Reasoning text sent back", M_C, call=UNSIGNED, sent=history(reasoning_content=THOUGHT)),
    Case("Reasoning text sent back", R_C, call=R_UNSIGNED, sent=history(reasoning_content=THOUGHT)),
    Case("Reasoning text sent back", C_M, call=history(reasoning_content=THOUGHT), sent=history(), dropped=("messages[].reasoning_content",)),
    Case("Reasoning text sent back", R_M, call=R_UNSIGNED, sent=history(), dropped=("input[reasoning]",)),
    Case("Reasoning text sent back, at a server that refuses it", M_C, call=UNSIGNED, sent=history(), dropped=("messages[].content[].thinking",), server="groq"),
    Case("Reasoning text sent back, at a server that refuses it", R_C, call=R_UNSIGNED, sent=history(), dropped=("input[reasoning]",), server="groq"),
]  # fmt: skip

HIGH: Json = {"reasoning_effort": "high"}
M_HIGH: Json = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}

EFFORT = [
    Case("Effort", M_C, call=M_HIGH, sent=HIGH),
    Case("Effort", R_C, call={"reasoning": {"effort": "high"}}, sent=HIGH),
    Case("Effort", C_M, call=HIGH, sent=M_HIGH),
    Case("Effort", R_M, call={"reasoning": {"effort": "high"}}, sent=M_HIGH),
    Case(
        "Thinking budget", M_C,
        call={"thinking": {"type": "enabled", "budget_tokens": 16_000}, "max_tokens": 20_000},
        sent=HIGH | {"max_tokens": 20_000},
    ),
]  # fmt: skip

DISABLED: Json = {"thinking": {"type": "disabled"}}
M_LOW: Json = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}

EFFORTS_OF_OTHERS = [
    Case("Effort that the model lacks", M_C, call={"output_config": {"effort": "xhigh"}}, sent=HIGH, dropped=("output_config.effort",)),
    Case("Effort that the model lacks", R_C, call={"reasoning": {"effort": "minimal"}}, sent={"reasoning_effort": "low"}, dropped=("reasoning.effort",)),
    Case("Effort that the model lacks", C_M, call={"reasoning_effort": "minimal"}, sent=M_LOW, dropped=("reasoning_effort",)),
    Case("Effort that the model lacks", R_M, call={"reasoning": {"effort": "minimal"}}, sent=M_LOW, dropped=("reasoning.effort",)),
    Case("Effort for a Claude model that takes a budget", C_M, call=HIGH, sent={"thinking": {"type": "enabled", "budget_tokens": 16384}, "max_tokens": 64_000}, model=OLD_CLAUDE),
    Case("Effort for a Claude model that takes a budget", R_M, call={"reasoning": {"effort": "high"}}, sent={"thinking": {"type": "enabled", "budget_tokens": 16384}, "max_tokens": 64_000}, model=OLD_CLAUDE),
    Case("Thinking off", M_C, call=DISABLED, dropped=("thinking.type",)),
    Case("Thinking off", R_C, call={"reasoning": {"effort": "none"}}, dropped=("reasoning.effort",)),
    Case("Thinking off", C_M, call={"reasoning_effort": "none"}, sent=DISABLED),
    Case("Thinking off", R_M, call={"reasoning": {"effort": "none"}}, sent=DISABLED),
    Case("Thinking off, at DeepSeek", M_C, call=DISABLED, sent=DISABLED, server="deepseek", model="deepseek-v4-pro"),
    Case("Thinking off, at DeepSeek", R_C, call={"reasoning": {"effort": "none"}}, sent=DISABLED, server="deepseek", model="deepseek-v4-pro"),
]  # fmt: skip

# The provider's refusal, and the end of an answer that it filtered.
C_REFUSES = chat_provider.answer(refusal="I will not.")
M_REFUSES = messages_provider.answer(messages_provider.text("I will not."), finish="refusal")

REFUSALS = [
    Case("Refusal", M_C, answer=C_REFUSES, gets={"content": [{"type": "text", "text": "I will not."}], "stop_reason": "refusal"}),
    Case("Refusal", R_C, answer=C_REFUSES, gets={"output": [{"content": [{"type": "refusal", "refusal": "I will not."}]}]}),
    Case("Refusal", C_M, answer=M_REFUSES, gets={"choices": [{"finish_reason": "content_filter", "message": {"content": "I will not."}}]}),
    Case("Refusal", R_M, answer=M_REFUSES, gets={"output": [{"content": [{"type": "output_text", "text": "I will not."}, {"type": "refusal"}]}]}),
]  # fmt: skip

LENGTH = chat_provider.answer("length", content=ANSWER)
FILTERED = chat_provider.answer("content_filter", content=ANSWER)
R_CUT: Json = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
R_FILTERED: Json = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
STOPPED: Json = messages_provider.answer(messages_provider.text(ANSWER), finish="stop_sequence") | {
    "stop_sequence": "END"
}


def m_cut(finish: str) -> Json:
    return messages_provider.answer(messages_provider.text(ANSWER), finish=finish)


def c_ended(finish: str) -> Json:
    return {"choices": [{"finish_reason": finish, "message": {"content": ANSWER}}]}


ENDS = [
    Case("Answer cut by its limit", M_C, answer=LENGTH, gets={"stop_reason": "max_tokens"}),
    Case("Answer cut by its limit", R_C, answer=LENGTH, gets=R_CUT),
    Case("Answer cut by its limit", C_M, answer=m_cut("max_tokens"), gets=c_ended("length")),
    Case("Answer cut by its limit", C_M, "context", answer=m_cut("model_context_window_exceeded"), gets=c_ended("length")),
    Case("Answer cut by its limit", R_M, answer=m_cut("max_tokens"), gets=R_CUT),
    Case("Answer cut by a content filter", M_C, answer=FILTERED, gets={"stop_reason": "refusal"}),
    Case("Answer cut by a content filter", R_C, answer=FILTERED, gets=R_FILTERED),
    Case(
        "Answer ended by a stop sequence", M_C, call={"stop_sequences": ["END"]}, sent={"stop": ["END"]},
        answer=chat_provider.answer(content=ANSWER, stop_reason="END"),
        gets={"stop_reason": "stop_sequence", "stop_sequence": "END"},
    ),
    Case(
        "Answer ended by a stop sequence", C_M, call={"stop": "END"}, sent={"stop_sequences": ["END"]},
        answer=STOPPED, gets=c_ended("stop"),
    ),
]  # fmt: skip

TOKENS = [
    {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []} for token in ("Fine", ", thanks.")
]  # fmt: skip

LOGPROBS = [
    Case(
        "Log probabilities", R_C,
        call={"include": ["message.output_text.logprobs"], "top_logprobs": 2}, sent={"logprobs": True, "top_logprobs": 2},
        answer=chat_provider.answer(content=ANSWER, logprobs=TOKENS),
        gets={"output": [{"content": [{"text": ANSWER, "logprobs": TOKENS}]}]},
    ),
    Case("Log probabilities", C_M, call={"logprobs": True, "top_logprobs": 2}, dropped=("logprobs", "top_logprobs")),
    Case(
        "Log probabilities", R_M,
        call={"include": ["message.output_text.logprobs"], "top_logprobs": 2}, dropped=("include[message.output_text.logprobs]", "top_logprobs"),
    ),
]  # fmt: skip

URL_CITATION: Json = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4},
}
C_CITES = chat_provider.answer(content=ANSWER, annotations=[URL_CITATION])
M_CITATION: Json = {
    "type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "Fine", "encrypted_index": "x",
}  # fmt: skip
M_CITES = messages_provider.answer(messages_provider.text(ANSWER, citations=[M_CITATION]))

CITATIONS = [
    Case("Citations", M_C, answer=C_CITES, gets={"content": [{"type": "text", "text": ANSWER, "citations": [{"url": "https://a.example", "title": "A"}]}]}),
    Case("Citations", R_C, answer=C_CITES, gets={"output": [{"content": [{"annotations": [{"type": "url_citation", "url": "https://a.example", "title": "A"}]}]}]}),
    Case("Citations", C_M, answer=M_CITES, gets={"choices": [{"message": {"annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}]}}]}),
    Case("Citations", R_M, answer=M_CITES, gets={"output": [{"content": [{"annotations": [{"type": "url_citation", "url": "https://a.example", "title": "A"}]}]}]}),
]  # fmt: skip

# 100 tokens read, of which 20 were in a cache and 10 are new in it; 30 written, of which 5 are reasoning.
M_USAGE: Json = {
    "input_tokens": 70,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 10,
    "output_tokens": 30,
    "output_tokens_details": {"thinking_tokens": 5},
}
C_USAGE: Json = chat_provider.USAGE
R_USAGE: Json = {
    "input_tokens": 100, "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 10},
    "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 130,
}  # fmt: skip

USAGE = [
    Case("Usage with cache classes", pair, gets={"usage": usage})
    for pair, usage in ((M_C, M_USAGE), (R_C, R_USAGE), (C_M, C_USAGE), (R_M, R_USAGE))
]

CASES = [*REASONING, *EFFORT, *EFFORTS_OF_OTHERS, *SENT_BACK, *REFUSALS, *ENDS, *LOGPROBS, *CITATIONS, *USAGE]
