"""Paths of members are those of the types that the SDKs have for requests."""

from __future__ import annotations

import re

import pytest
from anthropic.types.message_create_params import MessageCreateParamsBase
from msgspec import to_builtins
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from proxy.dialects.translation.client_names import member_names

TYPES = {
    "openai.chat": CompletionCreateParamsBase,
    "openai.responses": ResponseCreateParamsBase,
    "anthropic.messages": MessageCreateParamsBase,
}
# Of other servers that chat clients know.
OTHERS = {"reasoning", "thinking"}


@pytest.mark.parametrize("source", TYPES)
def test_each_path_begins_with_a_member_of_the_clients_dialect(source: str) -> None:
    names = to_builtins(member_names(source))
    if source == "anthropic.messages":
        del names["choices"], names["logprobs"], names["verbosity"]  # which its clients cannot say
    if source == "openai.responses":
        del names["choices"], names["stop"]
    paths = [path for name in names.values() for path in (name.values() if isinstance(name, dict) else [name])]
    first = {re.split(r"[.\[]", path)[0] for path in paths}
    assert first <= TYPES[source].__annotations__.keys() | OTHERS


def test_an_unknown_dialect_has_the_names_of_chat() -> None:
    assert member_names("some.dialect") == member_names("openai.chat")
