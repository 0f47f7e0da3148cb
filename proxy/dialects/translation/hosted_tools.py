"""Tools that a provider runs itself. Clients send them with every request, so another provider gets them left out."""

from __future__ import annotations

import re
from typing import Final

# Of OpenAI, Anthropic (whose types end with a date), Google, xAI, Groq, Moonshot and OpenRouter.
_is_hosted: Final = re.compile(
    r"(web_search|web_search_preview|web_fetch|code_execution|code_interpreter|file_search|image_generation"
    r"|tool_search|tool_search_tool_bm25|tool_search_tool_regex|google_search|url_context|x_search|live_search"
    r"|browser_search|builtin_function|openrouter:.+)(_20\d{2}_?\d{2}_?\d{2})?"
).fullmatch


def is_hosted(kind: str) -> bool:
    """Whether a tool of this ``type`` may be left out. Any other unknown type must be refused."""
    return _is_hosted(kind) is not None
