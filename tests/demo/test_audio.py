from __future__ import annotations

import io
import json
import struct
import wave
from itertools import pairwise
from typing import Literal

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from proxy.demo.audio import hum, wav_header
from proxy.demo.server import Demo
from tests.support import RawClient


async def test_speech_is_a_wav_file_streamed_by_words(paced: Demo) -> None:
    call = {"model": "demo-fast", "input": "one two three", "voice": "v"}
    async with RawClient(await paced.start()) as raw:
        await raw.request("POST", "/v1/audio/speech", json=call)
        assert (await raw.read_head()).header("content-type") == "audio/wav"
        pieces = [await raw.read_chunk() for _ in range(5)]
    assert [len(piece) for piece in pieces] == [44, 1600, 1600, 1600, 0]
    with wave.open(io.BytesIO(b"".join(pieces))) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (8000, 1, 2400)


async def test_speech_can_be_streamed_as_events(sdk: AsyncOpenAI, raw: RawClient) -> None:
    call = {"model": "demo-fast", "input": "one two", "voice": "v", "stream_format": "sse"}
    await raw.request("POST", "/v1/audio/speech", json=call)
    await raw.read_head()
    events = [json.loads(event[6:])["type"] for event in await raw.read_events()]
    assert events == ["speech.audio.delta"] * 3 + ["speech.audio.done"]


async def test_a_transcription_names_the_size_of_the_file(sdk: AsyncOpenAI) -> None:
    file = ("talk.wav", b"\0" * 100_000)
    answer = await sdk.audio.transcriptions.create(model="demo-transcribe", file=file)
    assert "100000 bytes in talk.wav" in answer.text
    text = await sdk.audio.transcriptions.create(model="demo-transcribe", file=file, response_format="text")
    assert "100000 bytes" in text
    with pytest.warns(DeprecationWarning, match="deprecated"):
        translated = await sdk.audio.translations.create(model="demo-transcribe", file=file)
    assert "100000 bytes" in translated.text


class TokenDetails(BaseModel):
    audio_tokens: int
    text_tokens: int


class TranscriptionUsage(BaseModel):
    """As litellm's SDK reads it: without one of these members it fails (litellm/types/utils.py)."""

    type: Literal["tokens"]
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: TokenDetails


async def test_the_usage_of_a_transcription_has_the_fields_that_litellm_reads(sdk: AsyncOpenAI) -> None:
    answer = await sdk.audio.transcriptions.create(model="demo-transcribe", file=("a.wav", b"12345"))
    assert answer.usage is not None
    usage = TranscriptionUsage.model_validate(answer.usage.model_dump())
    assert usage.total_tokens == usage.output_tokens > 0


async def test_a_transcription_can_be_streamed(sdk: AsyncOpenAI) -> None:
    stream = await sdk.audio.transcriptions.create(model="demo-instant", file=("a.wav", b"12345"), stream=True)
    events = [event async for event in stream]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert "5 bytes" in events[-1].text


def test_a_wav_header_has_the_sizes_of_the_file_and_of_its_samples() -> None:
    # Each size counts what follows its own four bytes.
    header = wav_header(1000)
    assert (len(header), struct.unpack("<I", header[4:8]), struct.unpack("<I", header[40:44])) == (44, (1036,), (1000,))


def test_a_longer_word_hums_lower() -> None:
    def crossings(letters: int) -> int:
        samples = struct.unpack("<800h", hum(letters))
        return sum((one < 0) != (two < 0) for one, two in pairwise(samples))

    assert crossings(1) > crossings(8) > crossings(20) == crossings(40)
