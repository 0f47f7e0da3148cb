"""The order of events that clients rely on, beyond what the Python SDKs check.

Claude Code refuses a delta for a block that is not open. Codex shows nothing of an item without its
``response.output_item.done``. Google's SDKs drop a chat with a chunk that has no content. Each function raises AssertionError for a stream that breaks a rule.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

# Delta types by the type of their block.
DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "redacted_thinking": set[str](),
}


def check_messages(events: list[Json]) -> None:
    """Blocks 0, 1, 2 ..., one open at a time; then one ``message_delta`` and ``message_stop``."""
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"], kinds
    assert [kinds.count(kind) for kind in ("message_start", "message_delta", "message_stop")] == [1, 1, 1]
    blocks = iter([event for event in events if event["type"].startswith("content_block_")])
    for index, event in enumerate(blocks):  # ``_check_block`` takes the other events of the block
        assert (event["type"], event["index"]) == ("content_block_start", index), event
        _check_block(index, event["content_block"], blocks)


def _check_block(index: int, block: Json, events: Any) -> None:
    deltas = []
    for event in events:
        assert event["index"] == index, f"two open blocks: {event}"
        if event["type"] == "content_block_stop":
            break
        assert event["type"] == "content_block_delta", event
        assert event["delta"]["type"] in DELTAS[block["type"]], event
        deltas.append(event["delta"])
    else:
        raise AssertionError(f"block {index} is not closed")
    signatures = [delta for delta in deltas if delta["type"] == "signature_delta"]
    assert signatures in ([], deltas[-1:]), "a signature that is not last"
    arguments = "".join(delta.get("partial_json", "") for delta in deltas)
    if block["type"] == "tool_use" and arguments:
        assert isinstance(json.loads(arguments), dict), arguments


def check_chat(chunks: list[Json], *, usage: bool = True) -> None:
    """The role first, one finish reason, and at the end the usage if the client wants it."""
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) == 1
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert choices[0]["delta"].get("role") == "assistant"
    assert [bool(choice.get("finish_reason")) for choice in choices] == [False] * (len(choices) - 1) + [True]
    assert [bool(chunk.get("usage")) for chunk in chunks] == [False] * (len(chunks) - 1) + [usage]
    if usage:
        assert chunks[-1]["choices"] == []
    begun = set[int]()
    for choice in choices:
        for call in choice["delta"].get("tool_calls") or ():
            assert (call["index"] in begun) is not ("id" in call), f"an id for each call, in its first part: {call}"
            begun.add(call["index"])
    assert begun == set(range(len(begun)))


def check_responses(events: list[Json]) -> None:
    """Numbers without a gap; each item and each content part added and done; the deltas make up what is done."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    final = events[-1]
    assert final["type"] in ("response.completed", "response.incomplete", "response.failed"), kinds
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    output = final["response"]["output"]
    for index, item in enumerate(output):
        _check_item(item, [event for event in events if event.get("output_index") == index])
    assert {event["output_index"] for event in events if "output_index" in event} == set(range(len(output)))


def _check_item(item: Json, events: list[Json]) -> None:
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-1]) == ("response.output_item.added", "response.output_item.done"), kinds
    assert events[-1]["item"] == item, "the item in the response is another"
    assert events[0]["item"]["type"] == item["type"]
    assert {event["item_id"] for event in events if "item_id" in event} <= {item.get("id")}
    done = {place: text for place, text in _done(events).items() if text}  # an empty text needs no delta
    assert {place: text for place, text in _deltas(events).items() if text} == done, "the deltas are not the text"
    assert all(_in(item, text) for text in done.values())
    for part in ("content_part", "reasoning_summary_part"):
        assert kinds.count(f"response.{part}.added") == kinds.count(f"response.{part}.done")


def _place(event: Json) -> tuple[Any, ...]:
    """Which text of an item an event is about."""
    return event["type"].rpartition(".")[0], event.get("content_index"), event.get("summary_index")


def _deltas(events: list[Json]) -> dict[tuple[Any, ...], str]:
    found: dict[tuple[Any, ...], str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            found[_place(event)] = found.get(_place(event), "") + event["delta"]
    return found


def _done(events: list[Json]) -> dict[tuple[Any, ...], str]:
    members = ("text", "refusal", "arguments", "input")
    return {
        _place(event): next(event[name] for name in members if name in event)
        for event in events[1:-1]
        if event["type"].endswith(".done") and "part" not in event
    }


def _in(item: Any, text: str) -> bool:
    if isinstance(item, dict):
        return any(_in(each, text) for each in item.values())
    if isinstance(item, list):
        return any(_in(each, text) for each in item)
    return item == text


def check_gemini(chunks: list[Json]) -> None:
    """Each chunk has content, without which the SDKs drop a chat; the finish reason and the usage come in the last."""
    assert len({(chunk.get("responseId"), chunk.get("modelVersion")) for chunk in chunks}) == 1
    candidates = [candidate for chunk in chunks for candidate in chunk["candidates"]]
    assert all(candidate["content"].get("parts") for candidate in candidates), "a chunk without content"
    ended = ["finishReason" in candidate for candidate in candidates]
    assert ended == [False] * (len(ended) - 1) + [True], ended
    assert ["usageMetadata" in chunk for chunk in chunks][:-1] == [False] * (len(chunks) - 1)
