"""Speech (a hum as long as the text), and transcriptions, which describe the upload.

Source: https://platform.openai.com/docs/api-reference/audio; WAV: RFC 2361
"""

from __future__ import annotations

import base64
import math
import struct
from typing import Annotated, Literal

from msgspec import Meta, Struct

from proxy.demo import words
from proxy.demo.answer import DemoAnswer, Frame, event, event_stream, json_answer
from proxy.demo.models import DemoModel

SAMPLES_PER_SECOND = 8000
SAMPLES_PER_WORD = 800  # a tenth of a second


class SpeechCall(Struct):
    model: str
    input: Annotated[str, Meta(min_length=1)]
    voice: str | dict[str, str] = "demo"
    stream_format: Literal["audio", "sse"] | None = None


class Upload(Struct, frozen=True):
    """The form of a transcription or translation."""

    filename: str
    size: int  # bytes of the file
    response_format: str = "json"
    stream: bool = False


def speech(call: SpeechCall, model: DemoModel) -> DemoAnswer:
    """A WAV file, one piece per word, or the same pieces as events."""
    said = words.pieces(call.input)
    hums = [hum(len(word)) for word in said]
    header = wav_header(len(hums) * SAMPLES_PER_WORD * 2)
    if call.stream_format == "sse":
        return _speech_events([header, *hums], model)
    frames = [Frame(header), *(Frame(piece, "word") for piece in hums[:-1]), Frame(hums[-1], "finish")]
    return DemoAnswer("audio/wav", list(frames), rate=model.rate)


def _speech_events(pieces: list[bytes], model: DemoModel) -> DemoAnswer:
    spoken = len(pieces) - 1
    usage = {"input_tokens": spoken, "output_tokens": spoken, "total_tokens": 2 * spoken}
    encoded = [base64.b64encode(piece).decode() for piece in pieces]
    frames = [event({"type": "speech.audio.delta", "audio": piece}, "word") for piece in encoded]
    return event_stream([*frames, event({"type": "speech.audio.done", "usage": usage}, "finish")], model.rate)


def transcription(upload: Upload, model: DemoModel) -> DemoAnswer:
    """A sentence with the file's size, as JSON, plain text or events."""
    text = f"The demo has no ears, but it got {upload.size} bytes in {upload.filename or 'a nameless file'}."
    said = words.count(text)
    usage = {
        "type": "tokens",
        "input_tokens": 0,
        "input_token_details": {"audio_tokens": 0, "text_tokens": 0},
        "output_tokens": said,
        "total_tokens": said,
    }
    if upload.stream:
        deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in words.pieces(text)]
        done = event({"type": "transcript.text.done", "text": text, "usage": usage}, "finish")
        return event_stream([*(event(delta, "word") for delta in deltas), done], model.rate)
    if upload.response_format == "text":
        return DemoAnswer("text/plain; charset=utf-8", [Frame(text.encode() + b"\n", "finish")])
    return json_answer({"text": text, "usage": usage})


def hum(letters: int) -> bytes:
    """One word: 16-bit samples of a tone that is lower for a longer word."""
    pitch = 2 * math.pi * (480 - 16 * min(letters, 20)) / SAMPLES_PER_SECOND
    samples = (int(6000 * math.sin(pitch * at)) for at in range(SAMPLES_PER_WORD))
    return struct.pack(f"<{SAMPLES_PER_WORD}h", *samples)


def wav_header(size: int) -> bytes:
    """The 44 bytes before ``size`` bytes of 16-bit mono samples."""
    shape = struct.pack("<IHHIIHH", 16, 1, 1, SAMPLES_PER_SECOND, SAMPLES_PER_SECOND * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + shape + b"data" + struct.pack("<I", size)
