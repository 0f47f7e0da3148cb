"""What OpenAI's Responses API refuses in the input of a request, beyond the types of the openai package.

Most messages are those of the real API, as users report them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

Json = dict[str, Any]

ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
NAME: Final = ID
DATA: Final = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+=*")
IMAGE: Final = re.compile(r"data:image/(png|jpeg|gif|webp);base64,")
PREFIXES: Final = {"message": "msg_", "reasoning": "rs_", "function_call": "fc_", "custom_tool_call": "ctc_"}
CALLS: Final = {
    "function_call_output": ("function_call", "function call"),
    "custom_tool_call_output": ("custom_tool_call", "custom tool call"),
}  # of outputs: the type of their call, and its name in messages
PARTS: Final = {"assistant": {"output_text", "refusal"}}
GIVEN: Final = {"input_text", "input_image", "input_file"}


def of_input(items: list[Json], signatures: Collection[str]) -> Iterator[str]:
    """Reasons to refuse input items. ``signatures``: encrypted contents of its own; a mapping also has their ids."""
    for index, item in enumerate(items):
        yield from (f"input[{index}]: {reason}" for reason in _item(item, signatures))
    ids = Counter(item["id"] for item in items if "id" in item)
    yield from (f"Duplicate item found with id {each}." for each, count in ids.items() if count > 1)
    yield from _pairs(items)
    yield from _reasoning_order(items)


def _item(item: Json, signatures: Collection[str]) -> Iterator[str]:
    kind = item.get("type", "message")
    if "id" in item and not (ID.fullmatch(item["id"]) and item["id"].startswith(PREFIXES.get(kind, ""))):
        yield f"id: expected an ID that begins with '{PREFIXES.get(kind, '')}', of at most 64 characters: {item['id']}"
    if "call_id" in item and not 1 <= len(item["call_id"]) <= 64:
        yield f"call_id: from 1 to 64 characters: {item['call_id']!r}"
    match kind:
        case "message":
            yield from _message(item)
        case "reasoning":
            yield from _reasoning(item, signatures)
        case "function_call" | "custom_tool_call":
            if not NAME.fullmatch(item["name"]):
                yield f"name: {item['name']!r} does not match the pattern"
        case "function_call_output" | "custom_tool_call_output":
            yield from _content(item["output"], GIVEN)
        case "item_reference":
            yield "items are not persisted when store is set to false"


def _message(item: Json) -> Iterator[str]:
    yield from _content(item["content"], PARTS.get(item["role"], GIVEN))


def _content(content: str | list[Json], taken: Collection[str]) -> Iterator[str]:
    for part in content if isinstance(content, list) else ():
        if part["type"] not in taken:
            yield f"Invalid value: '{part['type']}'. Supported values are: {sorted(taken)}."
        yield from _part(part)


def _part(part: Json) -> Iterator[str]:
    match part:
        case {"type": "input_image"}:
            if len(part.keys() & {"image_url", "file_id"}) != 1:
                yield "input_image: one of image_url and file_id"
            url = part.get("image_url", "https://")
            if not (IMAGE.match(url) and DATA.fullmatch(url)) and not url.startswith(("https://", "http://")):
                yield f"input_image: wrong address {url[:40]}"
        case {"type": "input_file"}:
            if len(part.keys() & {"file_data", "file_id", "file_url"}) != 1:
                yield "input_file: one of file_data, file_id and file_url"
            if "file_data" in part and not (DATA.fullmatch(part["file_data"]) and part.get("filename")):
                yield "input_file: file_data must be a data address, with a filename"
            if not part.get("file_url", "https://").startswith(("https://", "http://")):
                yield f"input_file: wrong address {part['file_url'][:40]}"
    if not part.get("file_id", "file-").startswith("file-"):
        yield f"file_id: expected an ID that begins with 'file': {part['file_id']}"


def _reasoning(item: Json, signatures: Collection[str]) -> Iterator[str]:
    if item.get("content"):
        yield "content: array too long. Expected an array with maximum length 0"
    sealed = item.get("encrypted_content")
    if not sealed:
        yield "items are not persisted when store is set to false"
    elif sealed not in signatures:
        yield "The encrypted content could not be verified."
    elif isinstance(signatures, Mapping) and item.get("id", signatures[sealed]) != signatures[sealed]:
        yield "The encrypted content's item_id did not match the target item id."


def _pairs(items: list[Json]) -> Iterator[str]:
    """Each result after its call, and one for each."""
    waiting: dict[str, str] = {}
    known: set[str] = set()
    for item in items:
        kind, call_id = item.get("type"), item.get("call_id", "")
        if kind in CALLS:
            call_type, name = CALLS[kind]
            if waiting.get(call_id) != call_type:
                yield f"No tool call found for {name} output with call_id {call_id}."
            waiting.pop(call_id, None)
        elif kind in ("function_call", "custom_tool_call"):
            if call_id in known:
                yield f"Duplicate call_id {call_id}."
            known.add(call_id)
            waiting[call_id] = kind
    yield from (f"No tool output found for {kind.replace('_', ' ')} {call_id}." for call_id, kind in waiting.items())


def _reasoning_order(items: list[Json]) -> Iterator[str]:
    """Reasoning must lead to a message of the assistant or a call; several may lead to one."""
    following: Json = {}
    for item in reversed(items):
        if item.get("type") != "reasoning":
            following = item
        elif following.get("role") != "assistant" and following.get("type") not in (
            "function_call",
            "custom_tool_call",
        ):
            yield f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
