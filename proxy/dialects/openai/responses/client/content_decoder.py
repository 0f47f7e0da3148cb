"""Content parts of input items, decoded: of messages, and of the outputs of tools.

Source: https://platform.openai.com/docs/api-reference/responses/create (input), and the parameter types of the package
openai 3.52. ``cache_control`` is OpenRouter's and LiteLLM's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from proxy.dialects.openai.content_source import file_source, source_of
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import (
    Audio,
    CacheMark,
    Citation,
    ContentSource,
    Document,
    Image,
    Refused,
    Text,
)
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

NAME: Final = "openai.responses"  # the dialect

InputPart: TypeAlias = Text | Image | Document | Audio

_MARKS: Final = frozenset({"prompt_cache_breakpoint", "cache_control"})
_MARKED: Final = _MARKS | {"type"}
_MARK: Final = frozenset({"type", "mode", "ttl"})
_TEXT: Final = _MARKED | {"text", "annotations", "logprobs"}
_IMAGE: Final = _MARKED | {"image_url", "file_id", "detail"}
_FILE: Final = _MARKED | {"file_data", "file_id", "file_url", "filename", "detail"}
_AUDIO: Final = frozenset({"type", "input_audio"})
_INPUT_AUDIO: Final = frozenset({"data", "format"})
_REFUSAL: Final = frozenset({"type", "refusal"})
_ANNOTATION: Final = frozenset({"type", "url", "title", "file_id", "filename", "start_index", "end_index"})
_ANNOTATIONS: Final = frozenset({"url_citation", "file_citation", "container_file_citation", "file_path"})

_MEDIA_TYPES: Final = {"mp3": "audio/mpeg"}  # of audio formats that are not their own media type
_NO_COUNTERPART: Final = "Content of this type has no counterpart there."


class ResponsesContentDecoder:
    """Decodes the content of one request's items. ``ttl``: of cache marks that name none."""

    __slots__ = ("_losses", "_ttl")

    def __init__(self, losses: Losses, ttl: str) -> None:
        self._losses = losses
        self._ttl = ttl

    def message(self, item: JsonObject) -> list[InputPart | Refused]:
        """``content`` of a message: a string or an array of parts. An empty text is nothing."""
        content = item.get("content")
        if isinstance(content, str):
            return [Text(content)] if content else []
        return self._parts(item, "content", _MESSAGE, "input[].content[].")

    def output(self, item: JsonObject) -> list[InputPart]:
        """``output`` of a tool: a string or an array of parts."""
        output = item.get("output")
        if isinstance(output, str):
            return [Text(output)] if output else []
        if output is None:
            raise WrongMember("output", "a string or an array")
        return self._parts(item, "output", _OUTPUT, "input[].output[].")

    def _parts(self, item: JsonObject, name: str, decoders: dict[str, Callable[..., Any]], path: str) -> list[Any]:
        found = []
        for index, part in enumerate(members.objects(item, name)):
            with Within(f"{name}[{index}]"):
                decode = decoders.get(members.text(part, "type"))
                if decode is None:
                    raise Untranslatable("type", _NO_COUNTERPART)
                found.append(decode(self, part, path))
        return [part for part in found if not isinstance(part, Text) or part.text]

    def _lose(self, holder: JsonObject, known: frozenset[str], path: str) -> None:
        self._losses.drop(*members.unknown(holder, known, path))

    def _mark(self, part: JsonObject, path: str) -> CacheMark | None:
        """The cache mark of a part."""
        if _MARKS.isdisjoint(part):
            return None
        for name, ttl in (("prompt_cache_breakpoint", self._ttl), ("cache_control", "")):
            mark = members.mapping(part, name)
            if mark is not None:
                self._lose(mark, _MARK, f"{path}{name}.")
                with Within(name):
                    return CacheMark(members.text(mark, "ttl") or ttl)
        return None

    def _text(self, part: JsonObject, path: str) -> Text:
        self._lose(part, _TEXT, path)
        if part.get("logprobs"):
            self._losses.drop(f"{path}logprobs")
        text = members.text(part, "text")
        annotations = members.objects(part, "annotations")
        return Text(text, self._mark(part, path), tuple(self._citations(annotations, f"{path}annotations[]")))

    def _citations(self, annotations: list[JsonObject], path: str) -> Iterator[Citation]:
        for each in annotations:
            kind = _text(each, "type")
            if kind in _ANNOTATIONS:
                self._lose(each, _ANNOTATION, f"{path}.")
                yield _citation(each)
            else:
                self._losses.drop(path)

    def _image(self, part: JsonObject, path: str) -> Image:
        self._lose(part, _IMAGE, path)
        source = self._source(part, path, {"image_url": source_of})
        return Image(source, members.text(part, "detail"), self._mark(part, path))

    def _file(self, part: JsonObject, path: str) -> Document:
        self._lose(part, _FILE, path)
        if members.text(part, "detail") not in ("", "auto"):
            self._losses.drop(f"{path}detail")
        source = self._source(part, path, {"file_data": file_source, "file_url": source_of})
        return Document(source, members.text(part, "filename"), cache=self._mark(part, path))

    def _source(self, part: JsonObject, path: str, readers: dict[str, Callable[[str], ContentSource]]) -> ContentSource:
        """Where content is: the first of these members, else ``file_id``. Others beside it are lost."""
        named = [name for name in (*readers, "file_id") if members.text(part, name)]
        if not named:
            raise WrongMember(next(iter(readers)), "a string, if there is no file_id")
        self._losses.drop(*(path + name for name in named[1:]))
        name, value = named[0], part[named[0]]
        return readers[name](value) if name in readers else ContentSource(file_id=value, owner=NAME)

    def _audio(self, part: JsonObject, path: str) -> Audio:
        self._lose(part, _AUDIO, path)
        found = members.required_mapping(part, "input_audio")
        self._lose(found, _INPUT_AUDIO, f"{path}input_audio.")
        with Within("input_audio"):
            data, form = members.required_text(found, "data"), members.required_text(found, "format")
        return Audio(ContentSource(data=data, media_type=_MEDIA_TYPES.get(form, f"audio/{form}")), form)

    def _refusal(self, part: JsonObject, path: str) -> Refused:
        self._lose(part, _REFUSAL, path)
        return Refused(members.text(part, "refusal"))


_OUTPUT: Final[dict[str, Callable[[ResponsesContentDecoder, JsonObject, str], InputPart]]] = {
    "input_text": ResponsesContentDecoder._text,
    "output_text": ResponsesContentDecoder._text,
    "text": ResponsesContentDecoder._text,  # of Open Responses
    "input_image": ResponsesContentDecoder._image,
    "input_file": ResponsesContentDecoder._file,
    "input_audio": ResponsesContentDecoder._audio,
}
_MESSAGE: Final[dict[str, Callable[[ResponsesContentDecoder, JsonObject, str], InputPart | Refused]]] = {
    **_OUTPUT,
    "refusal": ResponsesContentDecoder._refusal,
}


def _citation(annotation: JsonObject) -> Citation:
    """Any of the four kinds. What has the wrong type is left out."""
    return Citation(
        _text(annotation, "url"),
        _text(annotation, "title") or _text(annotation, "filename"),
        "",
        _text(annotation, "file_id"),
        _index(annotation, "start_index"),
        _index(annotation, "end_index"),
    )


def _text(holder: JsonObject, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _index(holder: JsonObject, name: str) -> int | None:
    value = holder.get(name)
    return value if type(value) is int else None
