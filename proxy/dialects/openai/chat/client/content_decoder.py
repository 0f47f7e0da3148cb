"""The content of chat messages, decoded.

Source: https://platform.openai.com/docs/api-reference/chat/create (messages). ``cache_control`` is OpenRouter's and
LiteLLM's. Content of type ``thinking`` is Mistral's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from proxy.dialects.openai.chat.client import reasoning_decoder
from proxy.dialects.openai.content_source import file_source, source_of
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import (
    Audio,
    CacheMark,
    ContentSource,
    Document,
    Image,
    Part,
    Reasoning,
    Refused,
    Text,
)
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable

SOURCE: Final = "openai.chat"

InputPart: TypeAlias = Text | Image | Document | Audio

_PART: Final = "messages[].content[]."
_MARKS: Final = frozenset({"prompt_cache_breakpoint", "cache_control"})
_BREAKPOINT: Final = frozenset({"mode", "ttl"})
_CACHE_CONTROL: Final = frozenset({"type", "ttl"})
_MARKED: Final = _MARKS | {"type"}

_TEXT: Final = _MARKED | {"text"}
_IMAGE: Final = _MARKED | {"image_url"}
_IMAGE_URL: Final = frozenset({"url", "detail"})
_AUDIO: Final = frozenset({"type", "input_audio"})
_INPUT_AUDIO: Final = frozenset({"data", "format"})
_FILE: Final = _MARKED | {"file"}
_FILE_FILE: Final = frozenset({"file_data", "file_id", "filename"})
_REFUSAL: Final = frozenset({"type", "refusal"})

_MEDIA_TYPES: Final = {"mp3": "audio/mpeg"}  # of audio formats that are not their own media type


class ChatContentDecoder:
    """Decodes the content of one request's messages.

    ``ttl``: of cache marks that name none. What is lost is added to ``dropped``.
    """

    __slots__ = ("_dropped", "_ttl")

    def __init__(self, ttl: str, dropped: list[str]) -> None:
        self._ttl = ttl
        self._dropped = dropped

    def input(self, message: JsonObject) -> list[InputPart]:
        """The ``content`` that is given to a model: a string, an array of parts, or nothing."""
        content = message.get("content")
        if isinstance(content, str):
            return [Text(content)] if content else []
        return members.each(message, "content", self._input)

    def answer(self, message: JsonObject) -> list[Part]:
        """The ``content`` of an assistant message."""
        content = message.get("content")
        if isinstance(content, str):
            return [Text(content)] if content else []
        return members.each(message, "content", self._answer)

    def mark(self, holder: JsonObject, path: str) -> CacheMark | None:
        """The cache mark of a part, a message or a tool that stands at ``path``."""
        if _MARKS.isdisjoint(holder):
            return None
        found = members.mapping(holder, "prompt_cache_breakpoint")
        if found is not None:
            self._lose(found, _BREAKPOINT, path + "prompt_cache_breakpoint.")
            with Within("prompt_cache_breakpoint"):
                return CacheMark(members.text(found, "ttl") or self._ttl)
        found = members.mapping(holder, "cache_control")
        if found is not None:
            self._lose(found, _CACHE_CONTROL, path + "cache_control.")
            with Within("cache_control"):
                return CacheMark(members.text(found, "ttl"))
        return None

    def _input(self, part: JsonObject) -> InputPart:
        decode = _INPUT.get(members.text(part, "type"))
        if decode is None:
            raise Untranslatable("type", "Content of this type has no counterpart there.")
        return decode(self, part)

    def _answer(self, part: JsonObject) -> Part:
        decode = _ANSWER.get(members.text(part, "type"))
        return self._input(part) if decode is None else decode(self, part)

    def _lose(self, holder: JsonObject, known: frozenset[str], path: str = _PART) -> None:
        self._dropped += members.unknown(holder, known, path)

    def _text(self, part: JsonObject) -> Text:
        self._lose(part, _TEXT)
        return Text(members.required_text(part, "text"), self.mark(part, _PART))

    def _image(self, part: JsonObject) -> Image:
        self._lose(part, _IMAGE)
        mark = self.mark(part, _PART)
        if isinstance(part.get("image_url"), str):  # many servers take the address itself
            return Image(source_of(part["image_url"]), cache=mark)
        found = members.required_mapping(part, "image_url")
        self._lose(found, _IMAGE_URL, _PART + "image_url.")
        with Within("image_url"):
            return Image(source_of(members.required_text(found, "url")), members.text(found, "detail"), mark)

    def _audio(self, part: JsonObject) -> Audio:
        self._lose(part, _AUDIO)  # audio has no cache mark
        found = members.required_mapping(part, "input_audio")
        self._lose(found, _INPUT_AUDIO, _PART + "input_audio.")
        with Within("input_audio"):
            data, kind = members.required_text(found, "data"), members.required_text(found, "format")
        return Audio(ContentSource(data=data, media_type=_MEDIA_TYPES.get(kind, f"audio/{kind}")), kind)

    def _file(self, part: JsonObject) -> Document:
        self._lose(part, _FILE)
        mark = self.mark(part, _PART)
        found = members.required_mapping(part, "file")
        self._lose(found, _FILE_FILE, _PART + "file.")
        with Within("file"):
            data, file_id = members.text(found, "file_data"), members.text(found, "file_id")
            name = members.text(found, "filename")
        if data:
            if file_id:
                self._dropped.append(_PART + "file.file_id")
            return Document(file_source(data), name, cache=mark)
        if not file_id:
            raise Untranslatable("file", "It has neither file_data nor file_id.")
        return Document(ContentSource(file_id=file_id, owner=SOURCE), name, cache=mark)

    def _refusal(self, part: JsonObject) -> Refused:
        self._lose(part, _REFUSAL)
        return Refused(members.required_text(part, "refusal"))

    def _thinking(self, part: JsonObject) -> Reasoning:
        return reasoning_decoder.of_part(part, self._dropped)


_INPUT: Final[dict[str, Callable[[ChatContentDecoder, JsonObject], InputPart]]] = {
    "text": ChatContentDecoder._text,
    "image_url": ChatContentDecoder._image,
    "input_audio": ChatContentDecoder._audio,
    "file": ChatContentDecoder._file,
}
_ANSWER: Final[dict[str, Callable[[ChatContentDecoder, JsonObject], Part]]] = {
    "refusal": ChatContentDecoder._refusal,
    "thinking": ChatContentDecoder._thinking,
}
