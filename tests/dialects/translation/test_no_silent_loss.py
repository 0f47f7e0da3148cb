"""No translation of a request loses a member in silence, whichever of those that a client's SDK can send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import ClientFault
from tests.support.schemas.combined import combined, marks
from tests.support.schemas.judge import Verdict, verdicts
from tests.support.schemas.known import BETA_MESSAGES, CHAT, GEMINI, MESSAGES, RESPONSES, documented
from tests.support.schemas.real_requests import RealRequest, real_requests
from tests.support.schemas.requests import RequestSchema
from tests.support.schemas.translators import PLAIN_SERVERS, SERVERS, Server
from tests.support.schemas.variants import Variant

# Members without an effect, as they are shown, with a value or for one server, and why their loss is none.
MEANINGLESS: Final[dict[str, str]] = {
    "messages[].clear_at": "How long a message stands: clients send the whole conversation each time.",
    "input[].id": "The name of an item that OpenAI keeps.",
    "input[].name (member of FunctionCallOutput)": "Its call has it.",
    "input[].name (member of FunctionCallOutputItemParam)": "Its call has it.",
    "input[].namespace (member of FunctionCallOutput)": "Its call has it.",
    "input[].namespace (member of FunctionCallOutputItemParam)": "Its call has it.",
    "input[].role = user": "What other roles become, where a model takes no system text so late. They are told.",
    "include[] = reasoning.encrypted_content": "It is always there.",
    "text.format.strict": "A provider that keeps to schemas always does.",
    "response_format.json_schema.strict": "The same.",
    "input[].text.format.strict": "The same.",
    "safety_identifier": "It is told as user, which it replaces.",
    "contents[].role": "user or model, as the types do not say.",
    "contents[].parts[].thought": "Of a part that is nothing else.",
    "contents[].parts[].fileData.mimeType": "The server at the address says it.",
    "contents[].parts[].functionResponse.parts[].fileData.mimeType": "The same.",
    "systemInstruction.role": "Google ignores it.",
    "systemInstruction.parts[].thought": "The same.",
    "systemInstruction.parts[].thoughtSignature": "The same.",
    "tools[].functionDeclarations[].parameters.type": "Arguments are an object everywhere.",
    "tools[].functionDeclarations[].parameters.nullable": "The same.",
    "tools[].functionDeclarations[].parameters.propertyOrdering[]": "The properties are put in this order.",
    "generationConfig.responseSchema.propertyOrdering[]": "The same.",
    "generationConfig.responseSchema.example": "It limits nothing.",
    "stream (member of CreateChatCompletionRequest) to Gemini": "The path says it.",
    "stream (member of CreateResponse) to Gemini": "The same.",
    "thinking (shape of ThinkingConfigDisabledParam) to Gemini with little": "The model never thinks.",
}

WRONG_VALUES: Final = (None, True, 7, 0.5, "text", [], {}, [7], [[]], [{}], {"type": 7}, {"a": {}})


def dialect(schema: RequestSchema) -> str:
    return schema.name.partition(" ")[0]


def pairs(schemas: list[RequestSchema], servers: Sequence[Server] = SERVERS) -> list[Any]:
    return [
        pytest.param(schema, server, id=f"{schema} to {server}")
        for schema in schemas
        for server in servers
        if server.dialect != dialect(schema)
    ]


@cache
def judged(schema: RequestSchema, server: Server) -> list[tuple[Variant, dict[Any, Verdict]]]:
    run = cache_by_text(partial(server.run, dialect(schema)))
    return [(each, verdicts(each, partial(schema.request, each), run)) for each in schema.variants]


def cache_by_text(run: Any) -> Any:
    """Many variants compare with the same request."""
    known = cache(lambda text: run(msgspec.json.decode(text)))
    return lambda request: known(msgspec.json.encode(request))


def is_meaningless(variant: Variant, value: Any, server: Server) -> bool:
    shown = (variant.path, str(variant), f"{variant.path} = {value}")
    return not MEANINGLESS.keys().isdisjoint((*shown, *(f"{each} to {server}" for each in shown)))


@pytest.mark.parametrize(
    ("schema", "server"),
    [*pairs([MESSAGES, CHAT, RESPONSES, GEMINI]), *pairs([BETA_MESSAGES, *documented()], PLAIN_SERVERS)],
)
def test_each_member_is_carried_told_or_refused(schema: RequestSchema, server: Server) -> None:
    wrong = {
        f"{variant} = {value!r}": verdict
        for variant, found in judged(schema, server)
        for value, verdict in found.items()
        if verdict in ("lost", "obscured", "misread") and not is_meaningless(variant, value, server)
    }
    assert wrong == {}


@cache
def kept(schema: RequestSchema, server: Server) -> list[Variant]:
    """The variants whose first value is not refused.

    Not those that change others: a choice of some tools, or a later change of a setting.
    """
    return [
        variant
        for variant, found in judged(schema, server)
        if next(iter(found.values())) in ("carried", "told")
        and "Allowed" not in variant.shape
        and not variant.path.startswith(("input[].text.", "input[].reasoning."))
    ]


@pytest.mark.parametrize(("schema", "server"), pairs([MESSAGES, CHAT, RESPONSES, GEMINI]))
@settings(max_examples=20)  # of each of some dozen pairs
@given(data=st.data())
def test_members_that_come_together_are_not_lost_either(
    schema: RequestSchema, server: Server, data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(kept(schema, server)), min_size=2, max_size=8))
    request = combined(schema, chosen)
    outcome = server.run(dialect(schema), request)
    if outcome.error is None:
        sent = json.dumps(outcome.body).lower()
        lost = [
            path
            for mark, path in marks(request, len(chosen))
            if mark.lower() not in sent
            and not outcome.names(path, request)
            and path not in {each.partition(" ")[0] for each in MEANINGLESS}
        ]
        assert lost == []


@pytest.mark.parametrize(("schema", "server"), pairs([MESSAGES, CHAT, RESPONSES, GEMINI], PLAIN_SERVERS))
def test_a_value_of_any_type_is_the_clients_fault_at_most(schema: RequestSchema, server: Server) -> None:
    for variant in schema.variants:
        for value in WRONG_VALUES:
            try:
                request = schema.request(variant, value)
            except (AttributeError, KeyError, TypeError):  # the request around it cannot be made
                continue
            error = server.run(dialect(schema), request).error
            assert error is None or isinstance(error, ClientFault)


@pytest.mark.parametrize(
    ("real", "server"),
    [
        pytest.param(real, server, id=f"{real} to {server}")
        for real in real_requests()
        for server in SERVERS
        if real.dialect != server.dialect
    ],
)
def test_no_text_of_a_request_that_a_client_sent_is_lost(real: RealRequest, server: Server) -> None:
    outcomes = [(path, request, server.run(real.dialect, request)) for path, request in real.marked()]
    lost = [
        path
        for path, request, outcome in outcomes
        if not (outcome.error or outcome.carries_mark or outcome.names(path, request))
    ]
    assert lost == []
