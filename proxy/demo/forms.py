"""Multipart requests: uploads are counted and discarded, whatever their size.

Sources: RFC 7578; https://platform.openai.com/docs/api-reference/audio and .../api-reference/images
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Struct

from proxy.demo.answer import DemoAnswer
from proxy.demo.audio import Upload, transcription
from proxy.demo.images import ImageCall, images
from proxy.demo.models import DemoModel
from proxy.demo.refusal import DemoRefusal

MAX_FIELD = 64 * 1024  # bytes of a form's text


class DemoForm(Struct):
    """A multipart body: its texts, and what the demo needs of the file."""

    fields: dict[str, str] = {}
    filename: str = ""
    size: int = 0  # bytes of all files

    @property
    def model(self) -> str:
        return self.fields.get("model", "")


async def read_form(request: web.BaseRequest) -> DemoForm:
    """Read a multipart body to its end. Raises ``DemoRefusal`` if it is invalid or has no file."""
    form = DemoForm()
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise ValueError("a multipart body within the multipart body")
            await _take_part(form, part)
    except (ValueError, AssertionError, UnicodeDecodeError, HttpProcessingError, web.RequestPayloadError):
        raise DemoRefusal(400, "Could not parse the multipart form of your request.") from None
    if not form.filename and not form.size:
        raise DemoRefusal(400, "The form holds no file.", param="file")
    return form


async def _take_part(form: DemoForm, part: BodyPartReader) -> None:
    if part.filename is None:
        text = await part.read(decode=True)
        if len(text) > MAX_FIELD:
            raise ValueError("a field of that size")
        form.fields[part.name or ""] = text.decode()
        return
    form.filename = form.filename or part.filename
    while piece := await part.read_chunk(65536):
        form.size += len(piece)


def _transcribed(form: DemoForm, model: DemoModel) -> DemoAnswer:
    wanted = form.fields.get("response_format", "json")
    return transcription(Upload(form.filename, form.size, wanted, form.fields.get("stream") == "true"), model)


def _edited(form: DemoForm, model: DemoModel) -> DemoAnswer:
    call = ImageCall(prompt=form.fields.get("prompt", ""), stream=form.fields.get("stream") == "true")
    return images(call, model, f"(with {form.size} bytes of {form.filename})", "image_edit")


FORM_ENDPOINTS: dict[str, Callable[[DemoForm, DemoModel], DemoAnswer]] = {
    "/v1/audio/transcriptions": _transcribed,
    "/v1/audio/translations": _transcribed,
    "/v1/images/edits": _edited,
}
