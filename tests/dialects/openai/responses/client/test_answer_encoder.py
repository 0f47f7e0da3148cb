"""Whole answers of the Responses API. ``test_stream_encoder.py`` compares them with streams."""

from __future__ import annotations

from proxy.dialects.openai.responses.client.answer_encoder import encode_response
from proxy.dialects.translation import blobs
from proxy.dialects.translation.conversation import Blob, Citation
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallStart,
    CitationPart,
    Finish,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from tests.support.openai_sdk import client
from tests.support.responses import context, decoded, response_of

TOKENS = [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}]


def test_the_package_reads_an_answer() -> None:
    parts: list[AnswerPart] = [
        *(Start("x", "up"), ReasoningDelta("Hm."), ReasoningBlob(Blob("sig")), TextDelta("Hello"), RefusalDelta("No.")),
        *(
            CallStart(0, "c", "f", namespace="n"),
            CallDelta(0, "{}"),
            Finish("tool_calls"),
            UsagePart(Usage(1, None, 2)),
        ),
    ]
    with client(encode_response(context(issuer="iss"), parts)) as sdk:
        found = sdk.responses.create(model="m", input="Hi")
    thought, message, call = found.output
    assert (found.output_text, found.status, found.model) == ("Hello", "completed", "up")
    assert thought.type == "reasoning"
    assert blobs.unpack(thought.encrypted_content or "").blob == Blob("sig", issuer="iss")
    assert message.type == "message"
    assert [part.type for part in message.content] == ["output_text", "refusal"]
    assert call.type == "function_call"
    assert (call.name, call.namespace, call.arguments, call.call_id) == ("f", "n", "{}", "c")
    assert found.usage is not None
    assert found.usage.total_tokens == 3


def test_blocks_of_text_are_one_part_with_all_citations() -> None:
    cited = CitationPart(Citation("u", "t"))
    (item,) = response_of([TextDelta("One. "), BlockEnd(), TextDelta("Two."), cited, LogprobsPart(TOKENS)])["output"]
    (part,) = item["content"]
    assert (part["text"], part["logprobs"]) == ("One. Two.", TOKENS)
    assert [(each["start_index"], each["end_index"]) for each in part["annotations"]] == [(5, 9)]


def test_a_tool_of_openai_s_and_the_signature_of_its_call() -> None:
    shell = decoded(input="Hi", tools=[{"type": "shell"}])
    parts = [CallStart(0, "c", "shell", blob=Blob("sig")), CallDelta(0, '{"commands":["ls"]}')]
    signature, call = response_of(parts, shell, issuer="iss")["output"]
    assert blobs.unpack_call(signature["encrypted_content"]) == Blob("sig", issuer="iss")
    assert (call["type"], call["id"], call["action"]["commands"]) == ("shell_call", "sh_abc_1", ["ls"])


def test_an_answer_without_anything_is_complete() -> None:
    found = response_of([])
    assert (found["status"], found["output"], found["usage"], found["model"]) == ("completed", [], None, "")


def test_halves_of_surrogate_pairs_are_joined_or_replaced() -> None:
    found = response_of([TextDelta("\ud83d"), TextDelta("\ude00"), TextDelta("\ud83d")])
    assert found["output"][0]["content"][0]["text"] == "😀\ufffd"
