"""Calls to the demo."""

from __future__ import annotations

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
            "required": ["city", "unit"],
        },
    },
}


def ask(prompt: str = "Hello there", model: str = "demo-instant", **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
