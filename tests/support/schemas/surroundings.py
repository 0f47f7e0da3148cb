"""Messages in a conversation that a provider would take: calls have results, results calls, and a user has the last word."""

from __future__ import annotations

from typing import Any, Final

Item = dict[str, Any]

_USER: Item = {"role": "user", "content": "Go on."}
_GOOGLE_USER: Item = {"role": "user", "parts": [{"text": "Go on."}]}
_OF_MODEL: Final = frozenset(
    ("functionCall", "thought", "thoughtSignature", "executableCode", "codeExecutionResult", "toolCall")
)


def around_messages(messages: list[Item]) -> list[Item]:
    """Of Anthropic's API."""
    results = _blocks(messages, "tool_result")
    calls = _blocks(messages, "tool_use")
    before = [{"type": "tool_use", "id": each["tool_use_id"], "name": "filler", "input": {}} for each in results]
    after = [{"type": "tool_result", "tool_use_id": each["id"], "content": "Done."} for each in calls]
    return [
        _USER,
        *([{"role": "assistant", "content": before}] if before else []),
        *messages,
        *([{"role": "user", "content": after}] if after else []),
        *(() if messages and messages[-1].get("role") == "system" else (_USER,)),  # it is for the turn before it
    ]


def around_chat(messages: list[Item]) -> list[Item]:
    """Of OpenAI's chat completions."""
    before = [
        {"id": each["tool_call_id"], "type": "function", "function": {"name": "filler", "arguments": "{}"}}
        for each in messages
        if each.get("role") == "tool"
    ]
    after = [
        {"role": "tool", "tool_call_id": call["id"], "content": "Done."}
        for each in messages
        for call in each.get("tool_calls", [])
        if "id" in call
    ]
    legacy = [
        {"role": "function", "name": each["function_call"]["name"], "content": "Done."}
        for each in messages
        if each.get("function_call")
    ]
    return [
        _USER,
        *([{"role": "assistant", "tool_calls": before}] if before else []),
        *messages,
        *after,
        *legacy,
        _USER,
    ]


def around_responses(items: list[Item]) -> list[Item]:
    """Of OpenAI's Responses API."""
    before = [
        _call(each, each["type"].removesuffix("_output"))
        for each in items
        if each.get("type") in ("function_call_output", "custom_tool_call_output") and "call_id" in each
    ]
    after = [
        {"type": f"{each['type']}_output", "call_id": each["call_id"], "output": "Done."}
        for each in items
        if each.get("type") in ("function_call", "custom_tool_call") and "call_id" in each
    ]
    return [_USER, *before, *items, *after, _USER]


def around_contents(contents: list[Item]) -> list[Item]:
    """Of Google's Gemini API: what only a model says has its role."""
    found: list[Item] = [_GOOGLE_USER]
    for content in contents:
        parts = content.get("parts", [])
        results = [each["functionResponse"] for each in parts if "functionResponse" in each]
        calls = [each["functionCall"] for each in parts if "functionCall" in each]
        if results:
            before = [{"functionCall": _named(each) | {"args": {}}} for each in results]
            found.append({"role": "model", "parts": before})
        said = any(not _OF_MODEL.isdisjoint(each) for each in parts)
        found.append(content | {"role": "model"} if said else content)
        if calls:
            after = [{"functionResponse": _named(each) | {"response": {}}} for each in calls]
            found.append({"role": "user", "parts": after})
    return [*found, _GOOGLE_USER]


def _named(part: Item) -> Item:
    return {name: part[name] for name in ("id", "name") if name in part}


def _call(result: Item, kind: str) -> Item:
    text = {"arguments": "{}"} if kind == "function_call" else {"input": "Filler."}
    return {"type": kind, "call_id": result["call_id"], "name": "filler"} | text


def _blocks(messages: list[Item], kind: str) -> list[Item]:
    return [
        block
        for message in messages
        if isinstance(message.get("content"), list)
        for block in message["content"]
        if block.get("type") == kind
    ]
