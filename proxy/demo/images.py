"""Images: one color computed from the prompt, as a PNG.

Source: https://platform.openai.com/docs/api-reference/images and .../images-streaming;
PNG: https://www.w3.org/TR/png/
"""

from __future__ import annotations

import base64
import struct
import time
import zlib
from typing import Annotated

from msgspec import Meta, Struct

from proxy.demo import words
from proxy.demo.answer import DemoAnswer, event, event_stream, json_answer
from proxy.demo.models import DemoModel

SIDE = 16  # pixels


class ImageCall(Struct):
    prompt: str
    model: str = "demo-image"
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None


def images(call: ImageCall, model: DemoModel, given: str = "", event_name: str = "image_generation") -> DemoAnswer:
    """Generations, and edits if ``given`` names the uploaded image."""
    prompt = f"{call.prompt} {given}".strip()
    spent = words.count(prompt)
    usage = {"input_tokens": spent, "output_tokens": SIDE, "total_tokens": spent + SIDE}
    encoded = base64.b64encode(png(prompt)).decode()
    if not call.stream:
        image = {"b64_json": encoded, "revised_prompt": prompt}
        return json_answer({"created": int(time.time()), "data": [image] * (call.n or 1), "usage": usage})
    shape = {
        "b64_json": encoded,
        "size": f"{SIDE}x{SIDE}",
        "output_format": "png",
        "created_at": int(time.time()),
    }
    partial, completed = f"{event_name}.partial_image", f"{event_name}.completed"
    frames = [
        event({"type": partial, "partial_image_index": index, **shape}, "word", partial)
        for index in range(call.partial_images or 0)
    ]
    last = event({"type": completed, **shape, "usage": usage}, "finish", completed)
    return event_stream([*frames, last], model.rate)


def png(prompt: str) -> bytes:
    """A square of one color."""
    color = struct.pack(">I", zlib.crc32(prompt.encode()))[:3]
    rows = (b"\0" + color * SIDE) * SIDE  # filter type 0, then RGB
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = [_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
