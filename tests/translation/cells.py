"""Cells of the tables in ``proxy/dialects/README.md``: what a client asks, what the provider gets and says, what comes back.

A feature is data: what each client says for it, and what each provider must get. Every pair of a client and a provider
makes a case of the two halves. The APIs have several forms of the same content, a text and a list of one text, so
bodies are compared in one of them (``canonical``).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

Json = dict[str, Any]
Api: TypeAlias = Literal["chat", "responses", "messages", "gemini"]
Word: TypeAlias = Literal["yes", "told", "400", "501"]
Names: TypeAlias = str | tuple[str, ...]

APIS: Final[tuple[Api, ...]] = ("chat", "responses", "messages", "gemini")


class Pair(NamedTuple):
    client: Api
    provider: Api

    def __str__(self) -> str:
        return f"{self.client}-to-{self.provider}"


PAIRS: Final = tuple(Pair(client, provider) for client in APIS for provider in APIS if client != provider)

CLAUDE = "claude-opus-4-8"
OLD_CLAUDE = "claude-haiku-4-5"
CHAT_MODEL = "glm-5.3"
GPT = "gpt-5.6"
GEMINI = "gemini-3.8-flash"
MODELS: Final[dict[Api, str]] = {"chat": CHAT_MODEL, "responses": GPT, "messages": CLAUDE, "gemini": GEMINI}

ABSENT: Any = object()  # as a value in ``sent``: without this member

HI: Json = {"role": "user", "content": "Hi"}
G_HI: Json = {"role": "user", "parts": [{"text": "Hi"}]}
CALLS: Final[dict[Api, Json]] = {
    "chat": {"model": "m", "messages": [HI]},
    "responses": {"model": "m", "input": "Hi"},
    "messages": {"model": "m", "max_tokens": 100, "messages": [HI]},
    "gemini": {"contents": [G_HI]},
}
SENT: Final[dict[Api, Json]] = {
    "chat": {"model": CHAT_MODEL, "messages": [HI]},
    "responses": {"model": GPT, "input": "Hi", "store": False, "include": ["reasoning.encrypted_content"]},
    "messages": {"model": CLAUDE, "max_tokens": 128_000, "messages": [HI]},
    "gemini": {"contents": [G_HI]},
}
# The limit of the usual call of messages, which must have one.
LIMITED: Final[dict[Api, Json]] = {
    "chat": {"max_tokens": 100},
    "responses": {"max_output_tokens": 100},
    "messages": {"max_tokens": 100},
    "gemini": {"generationConfig": {"maxOutputTokens": 100}},
}


class Case(NamedTuple):
    """One way to use a feature, by a pair of client and provider.

    ``call`` and ``sent`` replace members of the usual call and body. ``answer`` is the provider's, ``None`` for a text.
    ``gets`` must be within the answer that the SDK reads. ``dropped`` is what the client is told, ``refused`` the member
    that an error names; with neither, the feature is translated whole. ``lost``: what is missing of the answer, which the
    head of a stream cannot tell. ``server``: name of a known provider.
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
    lost: tuple[str, ...] = ()

    @property
    def client(self) -> Api:
        return self.pair.client

    @property
    def provider(self) -> Api:
        return self.pair.provider

    @property
    def word(self) -> Word:
        return "400" if self.refused else "told" if self.dropped or self.lost else "yes"

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.row, self.variant, str(self.pair)))).replace(" ", "_")

    @property
    def whole_call(self) -> Json:
        return merged(CALLS[self.client], self.call)

    @property
    def whole_sent(self) -> Json:
        limit = LIMITED[self.provider] if self.client == "messages" else {}
        model = {"model": self.model} if self.model and self.provider != "gemini" else {}
        return canonical(merged(merged(SENT[self.provider], limit | model), self.sent))


class But(NamedTuple):
    """What differs for one pair; ``None``: nothing. ``lost``: as in ``Case``. ``lacks``: the pair has no such case."""

    call: Json | None = None
    sent: Json | None = None
    answer: Json | None = None
    gets: Json | None = None
    dropped: tuple[str, ...] | None = None
    refused: str | None = None
    lost: tuple[str, ...] = ()
    lacks: bool = False


LACKS: Final = But(lacks=True)


class Feature(NamedTuple):
    """One way to use a feature, for all pairs.

    ``call``, ``gets``: by client; clients without a call have no such feature, unless none has. ``sent``, ``answer``,
    ``server``, ``model``: by provider. ``lost``: by provider, the word of the table where it is not ``yes``; ``names``:
    by client, the members that it is then told, or that the error names. ``providers``: those that the feature is
    about. ``but``: by pair, what differs.
    """

    row: str
    variant: str = ""
    call: Mapping[Api, Json] = {}
    sent: Mapping[Api, Json] = {}
    answer: Mapping[Api, Json] = {}
    gets: Mapping[Api, Json] = {}
    lost: Mapping[Api, Word] = {}
    names: Mapping[Api, Names] = {}
    providers: tuple[Api, ...] = APIS
    server: Mapping[Api, str] = {}
    model: Mapping[Api, str] = {}
    but: Mapping[tuple[Api, Api], But] = {}

    def cases(self) -> Iterator[Case]:
        for pair in PAIRS:
            but = self.but.get(pair, But())
            if pair.client in (self.call or APIS) and pair.provider in self.providers and not but.lacks:
                yield self._case(pair, but)

    def _case(self, pair: Pair, but: But) -> Case:
        client, provider = pair
        word = self.lost.get(provider, "yes")
        dropped = _listed(self.names.get(client, ())) if word == "told" else ()
        refused = "".join(_listed(self.names.get(client, ()))[:1]) if word == "400" else ""
        if but.dropped is not None or but.refused is not None:
            dropped, refused = but.dropped or (), but.refused or ""
        return Case(
            self.row,
            pair,
            self.variant,
            self.call.get(client, {}) if but.call is None else but.call,
            self.sent.get(provider, {}) if but.sent is None else but.sent,
            self.answer.get(provider) if but.answer is None else but.answer,
            self.gets.get(client, {}) if but.gets is None else but.gets,
            dropped,
            refused,
            self.model.get(provider, ""),
            self.server.get(provider, ""),
            but.lost,
        )


def _listed(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def merged(body: Json, change: Json) -> Json:
    """The body with the members of ``change``, object by object. The value ABSENT takes a member away."""
    found = copy.deepcopy(body)
    for name, value in change.items():
        if value is ABSENT:
            found.pop(name, None)
        elif isinstance(value, dict) and isinstance(found.get(name), dict):
            found[name] = merged(found[name], value)
        else:
            found[name] = copy.deepcopy(value)
    return found


def canonical(body: Json) -> Json:
    """A body with each content as a list of parts, and without members that are null, or about streaming."""
    body = copy.deepcopy(body)
    for name in ("stream", "stream_options"):
        body.pop(name, None)
    for message in body.get("messages", ()):
        _in_list(message, "content")
        for part in message.get("content") or ():
            if part.get("type") == "tool_result":
                _in_list(part, "content")
    _in_list(body, "system")
    if "input" in body:
        body["input"] = list(_items(body["input"]))
    return _without_nulls(body)


def _items(given: Any) -> Iterator[Json]:
    """The input of a response, with the content of messages in lists."""
    for item in [HI | {"content": given}] if isinstance(given, str) else given:
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        if isinstance(item.get("content"), str):
            item = item | {"content": [{"type": kind, "text": item["content"]}]}
        yield {name: value for name, value in item.items() if (name, value) != ("type", "message")}


def _in_list(holder: Json, name: str) -> None:
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
