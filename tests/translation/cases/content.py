"""Texts, images, files and audio in requests."""

from __future__ import annotations

from typing import Any

from tests.translation.cells import G_HI, HI, Api, But, Feature, Json

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0Y="
WAV = "UklGRiQAAABXQVZFZm10IA=="
IMAGE_URL = "https://files.example/cat.png"
PDF_URL = "https://files.example/paper.pdf"
NOTE = "A note."
NOTE_DATA = "QSBub3RlLg=="
LOOK: Json = {"type": "text", "text": "Look"}
R_LOOK: Json = {"type": "input_text", "text": "Look"}
G_LOOK: Json = {"text": "Look"}
BRIEF = "Be brief."


def user(*parts: Any) -> Json:
    return {"role": "user", "content": list(parts)}


def assistant(*parts: Any) -> Json:
    return {"role": "assistant", "content": list(parts)}


def system(text: str) -> Json:
    return {"role": "system", "content": text}


def g_turn(role: str, *parts: Any) -> Json:
    return {"role": role, "parts": list(parts)}


def asks(*, chat: Any = None, responses: Any = None, messages: Any = None, gemini: Any = None) -> dict[Api, Json]:
    """Calls, or bodies, with these parts after a text; a part that is ``None`` makes none."""
    made: dict[Api, Json] = {}
    if chat is not None:
        made["chat"] = {"messages": [user(LOOK, chat)]}
    if responses is not None:
        made["responses"] = {"input": [user(R_LOOK, responses)]}
    if messages is not None:
        made["messages"] = {"messages": [user(LOOK, messages)]}
    if gemini is not None:
        made["gemini"] = {"contents": [g_turn("user", G_LOOK, gemini)]}
    return made


PART: dict[Api, str] = {
    "chat": "messages[].content[]",
    "responses": "input[].content[]",
    "messages": "messages[].content[]",
    "gemini": "contents[].parts[]",
}
PLACE: dict[Api, str] = {
    "chat": "messages[0].content[1]",
    "responses": "input[0].content[1]",
    "messages": "messages[0].content[1]",
    "gemini": "contents[0].parts[1]",
}

# Parts of each API.
M_IMAGE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
C_IMAGE: Json = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
R_IMAGE: Json = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"}
G_IMAGE: Json = {"inlineData": {"mimeType": "image/png", "data": PNG}}
M_LINK: Json = {"type": "image", "source": {"type": "url", "url": IMAGE_URL}}
C_LINK: Json = {"type": "image_url", "image_url": {"url": IMAGE_URL}}
R_LINK: Json = {"type": "input_image", "detail": "auto", "image_url": IMAGE_URL}
G_LINK: Json = {"fileData": {"mimeType": "image/png", "fileUri": IMAGE_URL}}
M_PDF: Json = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
}
C_PDF: Json = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
R_PDF: Json = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
G_PDF: Json = {"inlineData": {"mimeType": "application/pdf", "data": PDF}}
M_PDF_LINK: Json = {"type": "document", "source": {"type": "url", "url": PDF_URL}}
R_PDF_LINK: Json = {"type": "input_file", "file_url": PDF_URL}
G_PDF_LINK: Json = {"fileData": {"mimeType": "application/pdf", "fileUri": PDF_URL}}
M_NOTE: Json = {
    "type": "document",
    "title": "a.txt",
    "source": {"type": "text", "media_type": "text/plain", "data": NOTE},
}
C_NOTE: Json = {"type": "file", "file": {"filename": "a.txt", "file_data": f"data:text/plain;base64,{NOTE_DATA}"}}
R_NOTE: Json = {"type": "input_file", "filename": "a.txt", "file_data": f"data:text/plain;base64,{NOTE_DATA}"}
G_NOTE: Json = {"inlineData": {"mimeType": "text/plain", "data": NOTE_DATA}}
# Few providers take files that are no PDF.
IN_TEXT: Json = {"type": "text", "text": f'Look\n\n<document name="a.txt">\n{NOTE}\n</document>'}
C_AUDIO: Json = {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
G_AUDIO: Json = {"inlineData": {"mimeType": "audio/wav", "data": WAV}}

TEXTS = [
    Feature("Text"),
    Feature(
        "System text, first",
        call={
            "chat": {"messages": [system(BRIEF), HI]},
            "responses": {"instructions": BRIEF},
            "messages": {"system": BRIEF},
            "gemini": {"systemInstruction": {"parts": [{"text": BRIEF}]}},
        },
        sent={
            "chat": {"messages": [system(BRIEF), HI]},
            "responses": {"instructions": BRIEF},
            "messages": {"system": BRIEF},
            "gemini": {"systemInstruction": {"parts": [{"text": BRIEF}]}},
        },
    ),
    Feature(
        "System text, first", "developer",
        call={"chat": {"messages": [system(BRIEF) | {"role": "developer"}, HI]}},
        sent={
            "responses": {"instructions": BRIEF},
            "messages": {"system": BRIEF},
            "gemini": {"systemInstruction": {"parts": [{"text": BRIEF}]}},
        },
    ),
    Feature(
        "System text, in the middle",
        call={
            "chat": {"messages": [HI, assistant(LOOK), HI, system(BRIEF)]},
            "responses": {"input": [HI, {"role": "assistant", "content": "Look"}, HI, {"role": "developer", "content": BRIEF}]},
            "messages": {"messages": [HI, assistant(LOOK), HI, system(BRIEF)]},
        },
        sent={
            "chat": {"messages": [HI, assistant(LOOK), HI, system(BRIEF)]},
            "responses": {"input": [HI, {"role": "assistant", "content": "Look"}, HI, {"role": "developer", "content": BRIEF}]},
            "messages": {"messages": [HI, assistant(LOOK), HI, system(BRIEF)]},
            "gemini": {"contents": [G_HI, g_turn("model", G_LOOK), g_turn("user", {"text": "Hi"}, {"text": f"<system>\n{BRIEF}\n</system>"})]},
        },
        lost={"gemini": "told"},
        names={"chat": "messages[].role", "responses": "input[].role", "messages": "messages[].role"},
    ),
    Feature(
        "Author's name of a message",
        call={"chat": {"messages": [HI | {"name": "Ann"}]}},
        lost=dict.fromkeys(("responses", "messages", "gemini"), "told"), names={"chat": "messages[].name"},
    ),
]  # fmt: skip

# A detail that is not said, as it is sent to OpenAI, and one that a client of Responses says.
AUTO = {"detail": "auto"}


def chat_detail(part: Json) -> But:
    return But(sent={"messages": [user(LOOK, part | {"image_url": part["image_url"] | AUTO})]})


IMAGES = [
    Feature(
        "Image in the request",
        call=asks(chat=C_IMAGE, responses=R_IMAGE, messages=M_IMAGE, gemini=G_IMAGE),
        sent=asks(chat=C_IMAGE, responses=R_IMAGE, messages=M_IMAGE, gemini=G_IMAGE),
        but={("responses", "chat"): chat_detail(C_IMAGE)},
    ),
    Feature(
        "Image by address",
        call=asks(chat=C_LINK, responses=R_LINK, messages=M_LINK, gemini=G_LINK),
        sent=asks(chat=C_LINK, responses=R_LINK, messages=M_LINK, gemini=G_LINK),
        but={("responses", "chat"): chat_detail(C_LINK)},
    ),
    Feature(
        "Image by file id",
        call=asks(
            responses={"type": "input_image", "detail": "auto", "file_id": "file-1"},
            messages={"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        ),
        lost=dict.fromkeys(("chat", "responses", "messages", "gemini"), "400"),
        names={"responses": f"{PART['responses']}.file_id", "messages": f"{PART['messages']}.source"},
    ),
]  # fmt: skip

FILES = [
    Feature(
        "PDF in the request",
        call=asks(chat=C_PDF, responses=R_PDF, messages=M_PDF),
        sent=asks(chat=C_PDF, responses=R_PDF, messages=M_PDF)
        | {"gemini": {"contents": [g_turn("user", G_LOOK, {"text": "The file a.pdf:"}, G_PDF)]}},
    ),
    Feature(
        "PDF by address, if nothing is fetched",
        call=asks(responses=R_PDF_LINK, messages=M_PDF_LINK, gemini=G_PDF_LINK),
        sent=asks(responses=R_PDF_LINK, messages=M_PDF_LINK, gemini=G_PDF_LINK),
        lost={"chat": "400"},
        names={
            "responses": f"{PART['responses']}.file_url",
            "messages": f"{PART['messages']}.source",
            "gemini": PART["gemini"],
        },
    ),
    Feature(
        "File by id",
        call=asks(
            chat={"type": "file", "file": {"file_id": "file-1"}},
            responses={"type": "input_file", "file_id": "file-1"},
            messages={"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            gemini={"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
        lost=dict.fromkeys(("chat", "responses", "messages", "gemini"), "400"),
        names={
            "chat": f"{PART['chat']}.file.file_id",
            "responses": f"{PART['responses']}.file_id",
            "messages": f"{PART['messages']}.source",
            "gemini": f"{PART['gemini']}.fileData.fileUri",
        },
        # The ids of OpenAI's files are the same in both of its APIs.
        but={("chat", "responses"): But(sent=asks(responses={"type": "input_file", "file_id": "file-1"})["responses"], refused="")},
    ),
    Feature(
        "Text file",
        call=asks(chat=C_NOTE, responses=R_NOTE, messages=M_NOTE),
        sent={
            "chat": {"messages": [user(IN_TEXT)]},
            "responses": {"input": [user(IN_TEXT | {"type": "input_text"})]},
            **asks(messages=M_NOTE),
            "gemini": {"contents": [g_turn("user", G_LOOK, {"text": f'<document name="a.txt">\n{NOTE}\n</document>'})]},
        },
    ),
]  # fmt: skip

AUDIO = [
    Feature(
        "Audio",
        call=asks(chat=C_AUDIO, responses=C_AUDIO, gemini=G_AUDIO),
        sent=asks(chat=C_AUDIO, responses=C_AUDIO, gemini=G_AUDIO),
        lost={"responses": "400", "messages": "400"},
        names={"chat": PART["chat"], "responses": PART["responses"], "gemini": PART["gemini"]},
        but={("chat", "responses"): But(refused=f"{PART['chat']}.input_audio")},
    ),
    Feature(
        "Video",
        call=asks(gemini={"inlineData": {"mimeType": "video/mp4", "data": WAV}}),
        lost=dict.fromkeys(("chat", "responses", "messages"), "400"),
        names={"gemini": f"{PLACE['gemini']}.inlineData.mimeType"},
    ),
    Feature(
        "Audio answer",
        call={
            "chat": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
            "gemini": {"generationConfig": {"responseModalities": ["TEXT", "AUDIO"]}},
        },
        lost=dict.fromkeys(("chat", "responses", "messages", "gemini"), "400"),
        names={"chat": "modalities", "gemini": "generationConfig.responseModalities"},
    ),
]  # fmt: skip

HOLOGRAM: Json = {"type": "hologram", "data": "x"}

UNKNOWN = [
    Feature(
        "Unknown block or item", "part",
        call=asks(chat=HOLOGRAM, responses=HOLOGRAM, messages=HOLOGRAM, gemini={"hologram": "x"}),
        lost=dict.fromkeys(("chat", "responses", "messages", "gemini"), "400"),
        names={api: f"{place}.type" for api, place in PLACE.items()} | {"gemini": f"{PLACE['gemini']}.hologram"},
    ),
    Feature(
        "Unknown block or item", "item",
        call={"responses": {"input": [HI, HOLOGRAM]}},
        lost=dict.fromkeys(("chat", "messages", "gemini"), "400"), names={"responses": "input[1].type"},
    ),
]  # fmt: skip

FEATURES = [*TEXTS, *IMAGES, *FILES, *AUDIO, *UNKNOWN]
