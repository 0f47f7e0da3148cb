"""Texts, images, files and audio in requests."""

from __future__ import annotations

from typing import Any

from tests.translation.cells import C_M, HI, M_C, R_C, R_M, Case, Json

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0Y="
WAV = "UklGRiQAAABXQVZFZm10IA=="
IMAGE_URL = "https://files.example/cat.png"
PDF_URL = "https://files.example/paper.pdf"
NOTE = "A note."
NOTE_DATA = "QSBub3RlLg=="
LOOK: Json = {"type": "text", "text": "Look"}
BRIEF = "Be brief."


def user(*parts: Any) -> Json:
    return {"role": "user", "content": list(parts)}


def assistant(*parts: Any) -> Json:
    return {"role": "assistant", "content": list(parts)}


def system(text: str) -> Json:
    return {"role": "system", "content": text}


def asks(*parts: Json) -> Json:
    """A call of messages or chat."""
    return {"messages": [user(LOOK, *parts)]}


def inputs(*parts: Json) -> Json:
    """A call of responses."""
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Look"}, *parts]}]}


def refused(row: str, pair: Any, part: Json, member: str, variant: str = "", *, lacking: bool = True) -> Case:
    """A part that is refused for the sake of its ``member``. ``lacking``: only as the provider's dialect lacks it."""
    holder, call = ("input", inputs(part)) if pair in (R_C, R_M) else ("messages", asks(part))
    path = f"{holder}[].content[]{member}" if lacking else f"{holder}[0].content[1]{member}"
    return Case(row, pair, variant, call, refused=path)


# Parts of each dialect.
M_IMAGE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
C_IMAGE: Json = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
R_IMAGE: Json = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"}
M_LINK: Json = {"type": "image", "source": {"type": "url", "url": IMAGE_URL}}
C_LINK: Json = {"type": "image_url", "image_url": {"url": IMAGE_URL}}
R_LINK: Json = {"type": "input_image", "detail": "auto", "image_url": IMAGE_URL}
M_PDF: Json = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
}
C_PDF: Json = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
R_PDF: Json = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
M_NOTE: Json = {
    "type": "document",
    "title": "a.txt",
    "source": {"type": "text", "media_type": "text/plain", "data": NOTE},
}
C_NOTE: Json = {"type": "file", "file": {"filename": "a.txt", "file_data": f"data:text/plain;base64,{NOTE_DATA}"}}
R_NOTE: Json = {"type": "input_file", "filename": "a.txt", "file_data": f"data:text/plain;base64,{NOTE_DATA}"}
# Few chat providers take files that are no PDF.
IN_TEXT: Json = {"type": "text", "text": f'Look\n\n<document name="a.txt">\n{NOTE}\n</document>'}
C_AUDIO: Json = {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
R_AUDIO: Json = {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}

TEXTS = [
    Case("Text", M_C),
    Case("Text", R_C),
    Case("Text", C_M),
    Case("Text", R_M),
    Case("System text, first", M_C, call={"system": BRIEF}, sent={"messages": [system(BRIEF), HI]}),
    Case("System text, first", R_C, call={"instructions": BRIEF}, sent={"messages": [system(BRIEF), HI]}),
    Case("System text, first", C_M, call={"messages": [system(BRIEF), HI]}, sent={"system": BRIEF}),
    Case("System text, first", C_M, "developer", call={"messages": [system(BRIEF) | {"role": "developer"}, HI]}, sent={"system": BRIEF}),
    Case("System text, first", R_M, call={"instructions": BRIEF}, sent={"system": BRIEF}),
    Case(
        "System text, in the middle", M_C,
        call={"messages": [HI, assistant(LOOK), HI, system(BRIEF)]},
        sent={"messages": [HI, assistant(LOOK), HI, system(BRIEF)]},
    ),
    Case(
        "System text, in the middle", R_C,
        call={"input": [HI, {"role": "developer", "content": BRIEF}, HI]},
        sent={"messages": [HI, system(BRIEF), HI]},
    ),
    Case(
        "System text, in the middle", C_M,
        call={"messages": [HI, assistant(LOOK), HI, system(BRIEF)]},
        sent={"messages": [HI, assistant(LOOK), HI, system(BRIEF)]},
    ),
    Case(
        "System text, in the middle", R_M,
        call={"input": [HI, {"role": "developer", "content": BRIEF}]},
        sent={"messages": [HI, system(BRIEF)]},
    ),
    Case(
        "Author's name of a message", C_M,
        call={"messages": [HI | {"name": "Ann"}]}, dropped=("messages[].name",),
    ),
]  # fmt: skip

IMAGES = [
    Case("Image in the request", M_C, call=asks(M_IMAGE), sent=asks(C_IMAGE)),
    Case("Image in the request", R_C, call=inputs(R_IMAGE), sent=asks(C_IMAGE | {"image_url": C_IMAGE["image_url"] | {"detail": "auto"}})),
    Case("Image in the request", C_M, call=asks(C_IMAGE), sent=asks(M_IMAGE)),
    Case("Image in the request", R_M, call=inputs(R_IMAGE), sent=asks(M_IMAGE)),
    Case("Image by address", M_C, call=asks(M_LINK), sent=asks(C_LINK)),
    Case("Image by address", R_C, call=inputs(R_LINK), sent=asks(C_LINK | {"image_url": C_LINK["image_url"] | {"detail": "auto"}})),
    Case("Image by address", C_M, call=asks(C_LINK), sent=asks(M_LINK)),
    Case("Image by address", R_M, call=inputs(R_LINK), sent=asks(M_LINK)),
    refused("Image by file id", M_C, {"type": "image", "source": {"type": "file", "file_id": "file_1"}}, ".source"),
    refused("Image by file id", R_C, {"type": "input_image", "detail": "auto", "file_id": "file-1"}, ".file_id"),
    refused("Image by file id", R_M, {"type": "input_image", "detail": "auto", "file_id": "file-1"}, ".file_id"),
]  # fmt: skip

FILES = [
    Case("PDF in the request", M_C, call=asks(M_PDF), sent=asks(C_PDF)),
    Case("PDF in the request", R_C, call=inputs(R_PDF), sent=asks(C_PDF)),
    Case("PDF in the request", C_M, call=asks(C_PDF), sent=asks(M_PDF)),
    Case("PDF in the request", R_M, call=inputs(R_PDF), sent=asks(M_PDF)),
    refused("PDF by address", M_C, {"type": "document", "source": {"type": "url", "url": PDF_URL}}, ".source"),
    refused("PDF by address", R_C, {"type": "input_file", "file_url": PDF_URL}, ".file_url"),
    Case(
        "PDF by address", R_M,
        call=inputs({"type": "input_file", "file_url": PDF_URL}),
        sent=asks({"type": "document", "source": {"type": "url", "url": PDF_URL}}),
    ),
    refused("File by id", M_C, {"type": "document", "source": {"type": "file", "file_id": "file_1"}}, ".source"),
    refused("File by id", R_C, {"type": "input_file", "file_id": "file-1"}, ".file_id"),
    refused("File by id", C_M, {"type": "file", "file": {"file_id": "file-1"}}, ".file.file_id"),
    refused("File by id", R_M, {"type": "input_file", "file_id": "file-1"}, ".file_id"),
    Case("Text file", M_C, call=asks(M_NOTE), sent={"messages": [user(IN_TEXT)]}),
    Case("Text file", R_C, call=inputs(R_NOTE), sent={"messages": [user(IN_TEXT)]}),
    Case("Text file", C_M, call=asks(C_NOTE), sent=asks(M_NOTE)),
    Case("Text file", R_M, call=inputs(R_NOTE), sent=asks(M_NOTE)),
]  # fmt: skip

AUDIO = [
    Case("Audio", R_C, call=inputs(R_AUDIO), sent=asks(C_AUDIO)),
    refused("Audio", C_M, C_AUDIO, ""),
    refused("Audio", R_M, R_AUDIO, ""),
    Case("Audio answer", C_M, call={"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, refused="modalities"),
]  # fmt: skip

UNKNOWN = [
    refused("Unknown block or item", pair, {"type": "hologram", "data": "x"}, ".type", "part", lacking=False)
    for pair in (M_C, R_C, C_M, R_M)
] + [
    Case("Unknown block or item", pair, "item", call={"input": [HI, {"type": "hologram", "data": "x"}]}, refused="input[1].type")
    for pair in (R_C, R_M)
]  # fmt: skip

CASES = [*TEXTS, *IMAGES, *FILES, *AUDIO, *UNKNOWN]
