from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.anthropic.provider.format_encoder import FormatEncoder
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import JsonFormat
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
MAP = {"type": "object", "additionalProperties": {"type": "integer"}}


def encoded(form: JsonFormat | None, **facts: Any) -> tuple[Any, str, tuple[str, ...]]:
    """The member ``format``, the instruction, and what was lost."""
    losses = Losses()
    encoder = FormatEncoder(form, ModelFacts(**facts), losses, member_names("openai.chat"))
    return encoder.member().get("format"), "".join(block["text"] for block in encoder.instruction()), losses.names


def test_text_needs_no_format() -> None:
    assert encoded(None) == (None, "", ())


def test_a_schema_is_enforced() -> None:
    assert encoded(JsonFormat(SCHEMA, strict=True)) == ({"type": "json_schema", "schema": SCHEMA}, "", ())


def test_name_and_description_go_into_the_schema() -> None:
    found, _, told = encoded(JsonFormat(SCHEMA, "answer", "The answer."))
    assert (found["schema"], told) == (SCHEMA | {"title": "answer", "description": "The answer."}, ())
    assert encoded(JsonFormat(SCHEMA | {"title": "Own"}, "answer"))[0]["schema"]["title"] == "Own"


def test_a_constraint_that_is_not_enforced_is_told() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
    found, instruction, told = encoded(JsonFormat(schema, strict=True))
    assert (found["type"], instruction, told) == ("json_schema", "", ("response_format.json_schema.schema",))


@pytest.mark.parametrize(
    ("form", "facts", "part"),
    [
        (JsonFormat(), {}, "valid JSON object"),
        (JsonFormat(MAP), {}, '"additionalProperties":{"type":"integer"}'),
        (JsonFormat(SCHEMA, strict=False), {"structured": False}, '"required":["a"]'),
    ],
)
def test_what_openai_does_not_enforce_is_an_instruction(form: JsonFormat, facts: dict[str, Any], part: str) -> None:
    found, instruction, told = encoded(form, **facts)
    assert (found, told) == (None, ("response_format",))
    assert part in instruction


@pytest.mark.parametrize(("schema", "facts"), [(MAP, {}), (SCHEMA, {"structured": False})])
def test_a_strict_schema_that_cannot_be_enforced_is_refused(schema: Any, facts: dict[str, Any]) -> None:
    with pytest.raises(Untranslatable) as caught:
        encoded(JsonFormat(schema, strict=True), **facts)
    assert caught.value.param == "response_format"
