from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.gemini.provider.result_encoder import FunctionResponseEncoder
from proxy.dialects.translation.conversation import Audio, CacheMark, ContentSource, Document, Image, Text, ToolResult
from tests.support.gemini_encoding import NEW, OLD, encoding

IMAGE = Image(ContentSource(data="iVBORw0KGgoAAAA"))
INLINE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoAAAA"}}


def response(*content: Any, facts: Any = NEW, **members: Any) -> tuple[dict[str, Any], list[Any], tuple[str, ...]]:
    found = encoding(facts)
    encoded = FunctionResponseEncoder(found).result(ToolResult("c", list(content), **members), "sent", "f")
    function = encoded.part["functionResponse"]
    assert (function.pop("id"), function.pop("name")) == ("sent", "f")
    return function, encoded.moved, found.losses.names


def test_texts_are_the_output() -> None:
    assert response(Text("a"), Text("b")) == ({"response": {"output": "a\n\nb"}}, [], ())
    assert response() == ({"response": {"output": ""}}, [], ())


def test_an_error_is_told_as_one() -> None:
    assert response(Text("a"), is_error=True)[0] == {"response": {"error": "a"}}
    assert response(is_error=True)[0] == {"response": {"error": "The tool failed without a message."}}


def test_images_and_files_are_parts_of_the_result() -> None:
    pdf = Document(ContentSource(data="JVBERi0x"), "a.pdf")
    found, moved, _ = response(Text("a"), IMAGE, pdf)
    assert found["response"] == {"output": "a\n\nThe file a.pdf:"}
    assert found["parts"] == [INLINE, {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}}]
    assert moved == []


def test_older_models_get_them_after_the_results() -> None:
    found, moved, _ = response(IMAGE, facts=OLD)
    assert found == {"response": {"output": "(The output follows.)"}}
    assert moved == [{"text": "Output of the tool call sent:"}, INLINE]


@pytest.mark.parametrize("facts", [NEW, OLD])
def test_sound_is_never_part_of_a_result(facts: Any) -> None:
    found, moved, _ = response(Text("a"), Audio(ContentSource(data="AA=="), "wav"), facts=facts)
    assert found == {"response": {"output": "a"}}
    assert moved[1] == {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}


def test_a_mark_is_told() -> None:
    assert response(Text("a"), cache=CacheMark())[2] == ("messages[].prompt_cache_breakpoint",)
