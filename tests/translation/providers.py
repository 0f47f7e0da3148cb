"""The four APIs as those of strict scripted providers: what each refuses, answers and streams."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple

from tests.support.gemini import event as gemini_event
from tests.support.upstream import Request
from tests.translation import (
    chat_provider,
    chat_rules,
    gemini_provider,
    gemini_rules,
    messages_provider,
    messages_rules,
    responses_provider,
    responses_rules,
)
from tests.translation.cells import Api, Json

FINE = "Fine, thanks."


class ScriptedApi(NamedTuple):
    """``settings`` of a provider that speaks only this API. ``answer``: the usual one, a text. ``error`` makes the body
    of an error, and ``error_event`` one within a stream. ``head`` and ``body`` say why a request is refused: ``body``
    gets the request, the name of the known server, and the provider's own signatures.
    """

    settings: Json
    answer: Json
    events: Callable[[Json], list[bytes]]
    error: Callable[[str, int], Json]
    error_event: Callable[[str], bytes]
    head: Callable[[Request], Iterator[str]]
    body: Callable[[Request, str, Collection[str]], Iterator[str]]
    server: str = ""  # the known one that the provider usually is


def _of_gemini(request: Request, server: str, signatures: Collection[str]) -> Iterator[str]:
    return gemini_rules.of_body(request.json, gemini_rules.model_of(request) or gemini_rules.MODEL, signatures)


SCRIPTED: Final[dict[Api, ScriptedApi]] = {
    "chat": ScriptedApi(
        {"apiKey": chat_rules.KEY, "dialects": {"responses": {"enabled": False}}},
        chat_provider.answer(content=FINE),
        lambda answer: chat_provider.chunks(answer, interleaved=True),  # as some providers write parallel calls
        chat_provider.error,
        chat_provider.error_event,
        chat_rules.of_head,
        lambda request, server, signatures: chat_rules.of_body(request.json, server),
    ),
    "responses": ScriptedApi(
        {"apiKey": responses_rules.KEY, "dialects": {"chat": {"enabled": False}}},
        responses_provider.answer(responses_provider.text(FINE)),
        responses_provider.events,
        responses_provider.error,
        responses_provider.error_event,
        responses_rules.of_head,
        lambda request, server, signatures: responses_rules.of_body(request.json, server, signatures),
        "openai",
    ),
    "messages": ScriptedApi(
        {"apiKey": messages_rules.KEY, "kind": "anthropic"},
        messages_provider.answer(messages_provider.text(FINE)),
        messages_provider.events,
        messages_provider.error,
        messages_provider.error_event,
        messages_rules.of_head,
        lambda request, server, signatures: messages_rules.of_body(request.json, signatures),
    ),
    "gemini": ScriptedApi(
        {"apiKey": gemini_rules.KEY, "kind": "gemini"},
        gemini_provider.answer(gemini_provider.text(FINE)),
        gemini_provider.events,
        gemini_provider.error,
        lambda message: gemini_event(gemini_provider.error(message, 503)),
        gemini_rules.of_head,
        _of_gemini,
    ),
}


def signatures_of(answer: Json) -> set[str]:
    """The signatures that an answer of the Gemini API gives."""
    candidates = answer.get("candidates", ())
    parts = [part for each in candidates for part in each.get("content", {}).get("parts", ())]
    return {part["thoughtSignature"] for part in parts if "thoughtSignature" in part}
