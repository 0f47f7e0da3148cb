"""Cells of the table in ``proxy/dialects/README.md``: what a client asks, what the provider gets and says, what comes back.

A case is data. ``call`` and ``sent`` change the usual bodies, and the provider must get exactly that. Both APIs have two
forms of the same content, a text and a list of one text, so bodies are compared in one of them (``canonical``).
"""

from __future__ import annotations

import copy
from typing import Any, Literal, NamedTuple, TypeAlias

Json = dict[str, Any]
Pair: TypeAlias = Literal["messages to chat", "responses to chat", "chat to messages", "responses to messages"]
Word: TypeAlias = Literal["yes", "told", "400", "501"]

M_C: Pair = "messages to chat"
R_C: Pair = "responses to chat"
C_M: Pair = "chat to messages"
R_M: Pair = "responses to messages"
PAIRS: tuple[Pair, ...] = (M_C, R_C, C_M, R_M)

CLAUDE = "claude-opus-4-8"
OLD_CLAUDE = "claude-haiku-4-5"
CHAT_MODEL = "glm-5.3"

ABSENT: Any = object()  # as a value in ``sent``: without this member

HI: Json = {"role": "user", "content": "Hi"}
CALLS: dict[str, Json] = {
    "messages": {"model": "m", "max_tokens": 100, "messages": [HI]},
    "chat": {"model": "m", "messages": [HI]},
    "responses": {"model": "m", "input": "Hi"},
}
SENT: dict[Pair, Json] = {
    M_C: {"model": CHAT_MODEL, "max_tokens": 100, "messages": [HI]},
    R_C: {"model": CHAT_MODEL, "messages": [HI]},
    C_M: {"model": CLAUDE, "max_tokens": 128_000, "messages": [HI]},
    R_M: {"model": CLAUDE, "max_tokens": 128_000, "messages": [HI]},
}


class Case(NamedTuple):
    """One way to use a feature.

    ``call`` and ``sent`` replace members of the usual call and body. ``answer`` is the provider's, ``None`` for a text.
    ``gets`` must be within the answer that the SDK reads. ``dropped`` is what the client is told, ``refused`` the member
    that an error names; with neither, the feature is translated whole. ``server``: name of a known provider.
    """

    row: str
    pair: Pair
    variant: str = ""
    call: Json = {}
    sent: Json = {}
    answer: Json | None = None
    gets: Json = {}
    dropped: tuple[str, ...] = ()
    refused: str = ""
    model: str = ""
    server: str = ""

    @property
    def client(self) -> str:
        return self.pair.partition(" ")[0]

    @property
    def provider(self) -> str:
        return self.pair.rpartition(" ")[2]

    @property
    def word(self) -> Word:
        return "400" if self.refused else "told" if self.dropped else "yes"

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.row, self.variant, self.pair))).replace(" ", "_")

    @property
    def whole_call(self) -> Json:
        return copy.deepcopy(CALLS[self.client] | self.call)

    @property
    def whole_sent(self) -> Json:
        body = SENT[self.pair] | ({"model": self.model} if self.model else {}) | self.sent
        return canonical({name: value for name, value in body.items() if value is not ABSENT})


def canonical(body: Json) -> Json:
    """A body with each content as a list of parts, and without members that are null, or about streaming."""
    body = copy.deepcopy(body)
    for name in ("stream", "stream_options"):
        body.pop(name, None)
    for message in body.get("messages", ()):
        _listed(message, "content")
        for part in message.get("content") or ():
            if part.get("type") == "tool_result":
                _listed(part, "content")
    _listed(body, "system")
    return _without_nulls(body)


def _listed(holder: Json, name: str) -> None:
    if isinstance(holder.get(name), str):
        holder[name] = [{"type": "text", "text": holder[name]}]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def missing(wanted: Any, found: Any, path: str = "") -> list[str]:
    """What of ``wanted`` is not in ``found``: members of objects may be more, all else must be equal."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [each for name, value in wanted.items() for each in missing(value, found.get(name), f"{path}.{name}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [each for index, (one, other) in pairs for each in missing(one, other, f"{path}[{index}]")]
    return [] if wanted == found else [f"{path}: {found!r} is not {wanted!r}"]
