"""Whole answers as bytes, with the usage that they report."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tests.ledger.load.prices import REPORTING, Tokens

Task = Literal["chat", "messages", "embeddings"]

TASKS: dict[bytes, Task] = {b"chat/completions": "chat", b"messages": "messages", b"embeddings": "embeddings"}
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Pieces(NamedTuple):
    """A stream: events up to the first content, the rest up to the finish, the usage, and the end."""

    opening: bytes
    content: bytes
    usage: bytes
    end: bytes


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def json_answer(status: int, body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        *(status, more, len(body)),
        body,
    )


def tokens_of(task: Task, number: int) -> Tokens:
    """What the ``number``-th answer uses: few and many, and each class is often zero."""
    prompt = number * 7919 % (300_000 if number % 3 else 300)
    if task == "embeddings":
        return Tokens(prompt, 0, 0, 0, 0)
    cached = prompt // (number % 5 + 1) if number % 2 else 0
    written = (prompt - cached) // 3 if task == "messages" and number % 4 else 0
    output = number * 6101 % 20_000
    reasoning = output // (number % 7 + 1) if task == "chat" and number % 3 == 1 else 0
    return Tokens(prompt - cached - written, cached, written, output - reasoning, reasoning)


def body_of(task: Task, tokens: Tokens, cost: int | None) -> bytes:
    """A JSON answer. ``cost``: nano-USD that it reports."""
    usage = usage_of(task, tokens, cost)
    if task == "embeddings":
        return (
            b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"u","usage":%b}'
            % usage
        )
    if task == "messages":
        return (
            b'{"id":"m","type":"message","role":"assistant","model":"u","content":[{"type":"text","text":"Hello"}],'
            b'"stop_reason":"end_turn","stop_sequence":null,"usage":%b}' % usage
        )
    return (
        b'{"id":"c","object":"chat.completion","created":1,"model":"u","choices":[{"index":0,"message":'
        b'{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":%b}' % usage
    )


def usage_of(task: Task, tokens: Tokens, cost: int | None) -> bytes:
    prompt, completion = tokens.input + tokens.cached + tokens.cache_write, tokens.output + tokens.reasoning
    if task == "messages":
        return (
            b'{"input_tokens":%d,"cache_read_input_tokens":%d,"cache_creation_input_tokens":%d,"output_tokens":%d}'
            % (
                *(tokens.input, tokens.cached, tokens.cache_write),
                completion,
            )
        )
    more = b"" if cost is None else b',"cost":%d.%09d' % divmod(cost, 10**9)
    if task == "embeddings":
        return b'{"prompt_tokens":%d,"total_tokens":%d%b}' % (prompt, prompt, more)
    return (
        b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d},'
        b'"completion_tokens_details":{"reasoning_tokens":%d}%b}'
        % (prompt, completion, prompt + completion, tokens.cached, tokens.reasoning, more)
    )


def reported(provider: int, cost: int) -> int | None:
    """What an answer of this provider reports as its cost."""
    return cost if provider == REPORTING else None


def pieces_of(task: Task, tokens: Tokens, cost: int | None) -> Pieces:
    """A stream of chat or messages."""
    return _messages(tokens) if task == "messages" else _chat(tokens, cost)


def _chat(tokens: Tokens, cost: int | None) -> Pieces:
    usage = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"u","choices":[],"usage":%b}\n\n' % (
        usage_of("chat", tokens, cost)
    )
    return Pieces(
        _delta(b'{"role":"assistant","content":""}') + _delta(b'{"content":"Hello"}'),
        chunk(b"".join(_event(b'{"content":" word %d"}' % n) for n in range(3)))
        + _delta(b"{}", b'"stop"'),
        chunk(usage),
        chunk(b"data: [DONE]\n\n"),
    )  # fmt: skip


def _event(delta: bytes, finish: bytes = b"null") -> bytes:
    return (
        b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"u",'
        b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n' % (delta, finish)
    )


def _delta(delta: bytes, finish: bytes = b"null") -> bytes:
    return chunk(_event(delta, finish))


def _messages(tokens: Tokens) -> Pieces:
    start = usage_of("messages", tokens._replace(output=1), None)
    text = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"word "}}'
    return Pieces(
        _named(
            b"message_start",
            b'{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"u","content":[],'
            b'"stop_reason":null,"stop_sequence":null,"usage":%b}}' % start,
        )
        + _named(
            b"content_block_start",
            b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        )
        + _named(b"content_block_delta", text),
        _named(b"content_block_delta", text) * 3
        + _named(b"content_block_stop", b'{"type":"content_block_stop","index":0}'),
        _named(
            b"message_delta",
            b'{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
            b'"usage":{"output_tokens":%d}}' % tokens.output,
        ),
        _named(b"message_stop", b'{"type":"message_stop"}'),
    )


def _named(name: bytes, data: bytes) -> bytes:
    return chunk(b"event: %b\ndata: %b\n\n" % (name, data))
