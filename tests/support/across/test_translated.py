"""The harness of recorded answers, with made-up codecs: it passes on what these make, and sees what they lose."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pytest

from proxy.dialects.openai.chat_reader import ChatReader
from proxy.dialects.translation.base import AnswerContext, AnswerDecoder, StreamEncoder
from proxy.dialects.translation.parts import AnswerPart, CallDelta, CallStart, Dropped, Finish, TextDelta
from proxy.errors import ErrorInStream, GatewayError, StreamTruncated
from proxy.wire.sse import payload
from tests.support.across.translated import Client, Provider, translate_answer, translate_stream
from tests.support.across.views import AnswerView, Call, read_chat
from tests.support.state_size import state_size


class ChunkDecoder(AnswerDecoder):
    """Reads the texts and the finish of chat chunks."""

    def plain(self, block: bytes) -> AnswerPart | None:
        return TextDelta(json.loads(block[6:])["choices"][0]["delta"]["content"])

    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        data = payload(block) or b"[DONE]"
        choices = [] if data == b"[DONE]" else json.loads(data)["choices"]
        found: list[AnswerPart] = []
        for choice in choices:
            found += [TextDelta(text)] if (text := choice["delta"].get("content")) else []
            found += [Finish("stop")] if choice["finish_reason"] else []
            found += [Dropped(name) for name in choice["delta"].keys() - {"content"}]
        return found

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        message = json.loads(body)["choices"][0]["message"]
        return [TextDelta(message["content"]), CallStart(0, "", "f"), CallDelta(0, '{"a": 1}'), Dropped("annotations")]


class ChunkEncoder(StreamEncoder):
    """Writes them again."""

    def encode(self, part: AnswerPart) -> bytes:
        match part:
            case TextDelta(text):
                return chunk({"content": text})
            case Finish():
                return chunk({}, "stop")
        return b""

    def finish(self) -> bytes:
        return b"data: [DONE]\n\n"

    def failed(self, fault: GatewayError) -> bytes:
        return f"data: {json.dumps({'error': {'message': fault.message}})}\n\n".encode()


class LossyEncoder(ChunkEncoder):
    """Forgets a text."""

    def encode(self, part: AnswerPart) -> bytes:
        return b"" if part == TextDelta("b") else super().encode(part)


def encode_parts(context: AnswerContext, parts: Iterable[AnswerPart]) -> bytes:
    return repr(list(parts)).encode()


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]})}\n\n".encode()


PROVIDER = Provider(ChunkDecoder, ChatReader)
CLIENT = Client("chat", ChunkEncoder, encode_parts)
STREAM = [chunk({"content": "a"}), chunk({"content": "b"}), chunk({}, "stop")]
ERROR = b'data: {"error": {"message": "No."}}\n\n'


@pytest.mark.parametrize("plain", [True, False])
def test_a_complete_stream_gets_to_its_end(plain: bool) -> None:
    found = translate_stream(PROVIDER, CLIENT, STREAM, plain=plain)
    assert read_chat(found.body, streamed=True) == AnswerView("ab", finish="stop")
    assert found.body.endswith(b"data: [DONE]\n\n")
    assert found.fault is None


def test_a_stream_that_was_cut_fails() -> None:
    assert isinstance(translate_stream(PROVIDER, CLIENT, STREAM[:2]).fault, StreamTruncated)


def test_a_stream_with_an_error_fails_there() -> None:
    found = translate_stream(PROVIDER, CLIENT, [STREAM[0], ERROR, STREAM[1]])
    assert isinstance(found.fault, ErrorInStream)
    assert found.body.count(b"data:") == 2


def test_a_lost_text_is_seen() -> None:
    lossy = Client("chat", LossyEncoder, encode_parts)
    found = translate_stream(PROVIDER, lossy, STREAM)
    assert read_chat(found.body, streamed=True) == AnswerView("a", finish="stop")


def test_what_is_dropped_is_told_once() -> None:
    odd = chunk({"content": "a", "audio": "x"})
    assert translate_stream(PROVIDER, CLIENT, [odd, odd, *STREAM], plain=False).dropped == ("audio",)


def test_a_whole_answer_has_ids_for_its_calls() -> None:
    found = translate_answer(PROVIDER, CLIENT, b'{"choices": [{"message": {"content": "Hi"}}]}')
    assert found.dropped == ("annotations",)
    assert b"CallStart(index=0, id='call_0', name='f'" in found.body
    assert b"CallEnd(index=0)" in found.body


def test_a_call_that_a_provider_says_is_a_stop_is_one_of_tools() -> None:
    view = AnswerView(calls=(Call("1", "f", {}),), finish="stop")
    assert view.comparable == AnswerView(calls=(Call("1", "f", {}),), finish="tool_calls", cached=0)


def test_the_size_of_a_state_is_what_it_alone_keeps() -> None:
    text = "x" * 10_000
    assert 10_000 < state_size([text]) < 10_200
    assert state_size([text], shared=[text]) < 200
    assert state_size(TextDelta(text)) > 10_000
