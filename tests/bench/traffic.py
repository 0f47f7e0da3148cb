"""The bytes that the mock upstream sends and the load client expects.

The message's content selects the behavior, as every proxy forwards it:
``bench|s|<events>|<interval in us>|`` requests a stream, ``bench|n|<number>|`` a JSON response with the number.

Every event carries a token of fixed width in ``delta.content``::

    @<sequence> <sent> <held> <hash>;

``sequence`` counts from 1; ``sent`` is the monotonic clock in ns (hex), the same clock for all processes of a machine;
``held`` is the time in ns (hex) for which the upstream kept the request before this event, sent in the first event
only; ``hash`` is the CRC-32 (hex) of the token so far, continued from the token before it.
"""

from __future__ import annotations

import json

MARK = b"bench|"
TOKEN_SIZE = 1 + 6 + 1 + 16 + 1 + 8 + 1 + 8 + 1


def _chunk(delta: dict[str, str], finish_reason: str | None) -> dict[str, object]:
    return {
        "id": "chatcmpl-BvT5kQ2xW8nR4mY",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_34a54ae93c",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        "usage": None,
    }


def _event(value: object) -> bytes:
    return b"data: %s\n\n" % json.dumps(value, separators=(",", ":")).encode()


def frame(body: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%s\r\n" % (len(body), body)


PREFIX, SUFFIX = _event(_chunk({"content": "?"}, None)).split(b"?")
EVENT_SIZE = len(PREFIX) + TOKEN_SIZE + len(SUFFIX)
TOKEN_AT = len(PREFIX)
TOKEN_END = TOKEN_AT + TOKEN_SIZE

FINISH = _event(_chunk({}, "stop"))
USAGE = _event(
    {
        **_chunk({}, None),
        "choices": [],
        "usage": {"prompt_tokens": 25, "completion_tokens": 250, "total_tokens": 275},
    }
)
DONE = b"data: [DONE]\n\n"
TAIL = FINISH + DONE

ANSWER = json.dumps(
    {
        "id": "chatcmpl-BvT5kQ2xW8nR4mY",
        "object": "chat.completion",
        "created": 1750000000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "@?; A sluice is a gate that lets water through, as much as is wanted and no more, and holds the rest.",
                    "refusal": None,
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": -1, "completion_tokens": 9, "total_tokens": 34},
        "service_tier": "default",
        "system_fingerprint": "fp_34a54ae93c",
    },
    separators=(",", ":"),
).encode()


def answer(number: bytes, received: int) -> bytes:
    """The non-streaming answer; ``received`` is the size of the request's body, returned as ``prompt_tokens``."""
    return ANSWER.replace(b"@?", b"@" + number, 1).replace(b'_tokens":-1', b'_tokens":%d' % received, 1)


def ask(path: str, model: str, content: str, stream: bool) -> bytes:
    """A whole chat request as the client sends it."""
    body = json.dumps(
        {
            "model": model,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant that counts."},
                {"role": "user", "content": content},
            ],
            "temperature": 0.7,
            "max_tokens": 1000,
            "stream": stream,
        }
    ).encode()
    return head(path, len(body)) + body


def head(path: str, length: int) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Accept: application/json",
        "Content-Type: application/json",
        "Authorization: Bearer sk-bench-0123456789abcdef",
        "User-Agent: OpenAI/Python 2.8.1",
        f"Content-Length: {length}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def stream_request(path: str, model: str, events: int, interval: float) -> bytes:
    """``interval`` in seconds."""
    return ask(path, model, f"bench|s|{events}|{round(interval * 1e6)}| Please count.", True)


def plain_request(path: str, model: str, number: int) -> bytes:
    return ask(path, model, f"bench|n|{number:08d}| Please count.", False)
