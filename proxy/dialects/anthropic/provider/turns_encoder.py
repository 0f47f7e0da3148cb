"""The messages of a conversation, as the turns that the Messages API takes.

Its rules, from https://platform.claude.com/docs/en/api/messages and the errors that it answers: the first turn is the
user's. The results of tools follow their calls directly, and are first in their message. Calls are last in theirs. No
message is empty, and none of an assistant ends with thinking. A late system message stands between a turn of the user
and one of the assistant, or at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from proxy.dialects.anthropic.provider import cache_marks
from proxy.dialects.anthropic.provider.block_encoder import BlockEncoder, compact
from proxy.dialects.anthropic.provider.cache_marks import Block
from proxy.dialects.translation.base import EncodingTarget
from proxy.dialects.translation.call_arguments import is_wrapped, object_of
from proxy.dialects.translation.call_ids import CallIds
from proxy.dialects.translation.client_names import MemberNames
from proxy.dialects.translation.conversation import (
    CacheMark,
    Conversation,
    ConversationMessage,
    Part,
    Reasoning,
    Refused,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable

THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_BEGINNING: Final[Block] = {"type": "text", "text": "."}  # of a conversation that an assistant begins


class EncodedTurn(Struct):
    """Consecutive messages of one role. ``results`` stand before the other ``blocks``.

    ``late``: system text behind a turn of the user.
    """

    role: Literal["user", "assistant"]
    results: list[Block] = []
    blocks: list[Block] = []
    late: list[Block] = []

    @property
    def is_empty(self) -> bool:
        return not (self.results or self.blocks or self.late)


class EncodedTurns(Struct):
    """``system``: the system text before all turns."""

    system: list[Block]
    turns: list[EncodedTurn]

    @property
    def blocks(self) -> list[Block]:
        """All blocks in their order."""
        found = list(self.system)
        for turn in self.turns:
            found += (*turn.results, *turn.blocks, *turn.late)
        return found

    @property
    def called(self) -> list[str]:
        """Names of the tools that were called."""
        return list(dict.fromkeys(block["name"] for block in self.blocks if block["type"] == "tool_use"))

    @property
    def ends_with_assistant(self) -> bool:
        return self.turns[-1].role == "assistant"

    @property
    def lacks_thinking(self) -> bool:
        """Whether calls whose results come now do not begin with thinking, which models with a budget refuse."""
        first: EncodedTurn | None = None
        for turn in reversed(self.turns):
            if turn.role == "user" and not turn.results:
                break
            first = turn if turn.role == "assistant" else first
        return first is not None and not self.ends_with_assistant and first.blocks[0]["type"] not in THINKING

    def mark_end(self, mark: CacheMark | None) -> None:
        """Mark the end of the prompt."""
        last = self.turns[-1]
        cache_marks.add_last([*self.system, *last.results, *last.blocks, *last.late], mark)

    def messages(self) -> list[Block]:
        found: list[Block] = []
        for turn in self.turns:
            found.append({"role": turn.role, "content": compact([*turn.results, *turn.blocks])})
            if turn.late:
                found.append({"role": "system", "content": compact(turn.late)})
        return found


class TurnsEncoder:
    """Encodes the messages of one request."""

    __slots__ = (
        *("_client", "_content", "_ids", "_instructions", "_losses", "_names", "_results", "_system", "_target"),
        "_turns",
    )

    def __init__(self, target: EncodingTarget, losses: Losses, names: ToolNames, client: MemberNames) -> None:
        self._target = target
        self._losses = losses
        self._names = names
        self._client = client
        fetches = target.facts.fetches
        self._content = BlockEncoder(losses, client.content, fetches=fetches)
        self._results = BlockEncoder(losses, client.result, fetches=fetches)
        self._instructions = BlockEncoder(losses, client.system, fetches=fetches)
        self._ids = CallIds()
        self._system: list[Block] = []
        self._turns: list[EncodedTurn] = []

    def encode(self, conversation: Conversation) -> EncodedTurns:
        """Raises Untranslatable for what has no counterpart, such as a conversation without a word."""
        for message in conversation.messages:
            self._add(message)
        turns = self._settled() or self._system_alone()
        for turn in turns:
            if not (turn.results or turn.blocks):  # system text that no turn of the user precedes
                turn.blocks, turn.late = self._as_user(turn.late), []
        if turns[0].role == "assistant":
            turns.insert(0, EncodedTurn("user", blocks=[dict(_BEGINNING)]))
        if turns[-1].role == "assistant":
            self._check_prefill(turns)
        return EncodedTurns(self._system, turns)

    def _settled(self) -> list[EncodedTurn]:
        """The turns with their blocks in order, without empty ones."""
        turns = _merged(self._turns)
        for turn in turns:
            if turn.role == "assistant":
                self._put_in_order(turn)
        return _merged(turns)

    def _system_alone(self) -> list[EncodedTurn]:
        """The system text as that of the user, where there is no other: the API needs a message."""
        if not self._system:
            raise Untranslatable(self._client.messages, "It has no text.")
        self._losses.drop(self._client.role)
        turn = EncodedTurn("user", blocks=self._system)
        self._system = []
        return [turn]

    def _add(self, message: ConversationMessage) -> None:
        if message.name:
            self._losses.drop(self._client.name)
        if message.phase:
            self._losses.drop(self._client.phase)
        match message.role:
            case "system":
                self._add_system(message.content)
            case "user":
                self._users_turn().blocks += self._content.blocks(message.content)
            case "tool":
                results = self._users_turn().results
                for part in message.content:
                    if isinstance(part, ToolResult):
                        results.append(self._results.result(part, self._ids.of_result(part.call_id)))
            case "assistant":
                self._turn("assistant").blocks += self._answer(message.content)

    def _turn(self, role: Literal["user", "assistant"]) -> EncodedTurn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(EncodedTurn(role))
        return self._turns[-1]

    def _users_turn(self) -> EncodedTurn:
        """The user's turn. System text before what is added now stands behind all of the turn, which is told."""
        turn = self._turn("user")
        if turn.late:
            self._losses.tell(self._client.role)
        return turn

    def _add_system(self, parts: Sequence[Part]) -> None:
        if not all(isinstance(part, Text) for part in parts):
            raise Untranslatable(self._client.system.place, "System messages can only be text.")
        blocks = self._instructions.blocks(parts)
        if all(turn.is_empty for turn in self._turns):
            self._system += blocks
        elif self._target.facts.late_system:
            self._turn("user").late += blocks
        elif blocks:
            self._turn("user").blocks += self._as_user(blocks)

    def _as_user(self, blocks: list[Block]) -> list[Block]:
        """System text where only a user can speak."""
        self._losses.drop(self._client.role)
        return [block | {"text": f"<system>\n{block['text']}\n</system>"} for block in blocks]

    def _answer(self, parts: Sequence[Part]) -> list[Block]:
        """The blocks of an assistant message."""
        blocks: list[Block] = []
        for part in parts:
            match part:
                case Text():
                    block = self._content.text(part)
                case Refused(text):
                    block = self._content.text(Text(text))
                case Reasoning():
                    block = self._thinking(part)
                case ToolCall():
                    block = self._call(part)
                case _:
                    raise Untranslatable(self._client.content.place, "An assistant message is text and calls.")
            if block is not None:
                blocks.append(block)
        return blocks

    def _thinking(self, part: Reasoning) -> Block | None:
        """The block that the provider itself made; ``None`` for reasoning of others, which it refuses."""
        blob = part.blob
        if blob is not None and blob.issuer == self._target.issuer != "" and self._target.facts.thinking != "none":
            if blob.kind == "signature":
                return {"type": "thinking", "thinking": part.text, "signature": blob.data}
            if blob.kind == "redacted":
                return {"type": "redacted_thinking", "data": blob.data}
        if blob is not None:
            self._losses.drop(self._client.blob if blob.kind == "signature" else self._client.redacted)
        if part.text:
            self._losses.drop(self._client.reasoning)
        return None

    def _call(self, part: ToolCall) -> Block:
        if part.blob is not None:
            self._losses.drop(self._client.call_signature)
        name = self._names.name(part.name, part.namespace)
        block: Block = {"type": "tool_use", "id": self._ids.of_call(part.id), "name": name}
        block["input"] = arguments = object_of(part.arguments, part.kind)
        if is_wrapped(part.arguments, part.kind, arguments):
            self._losses.drop(self._client.arguments)
        cache_marks.add(block, part.cache)
        return block

    def _put_in_order(self, turn: EncodedTurn) -> None:
        """Put the calls of an assistant last, and leave out thinking at the end."""
        blocks = [block for block in turn.blocks if block["type"] != "tool_use"]
        calls = [block for block in turn.blocks if block["type"] == "tool_use"]
        while not calls and blocks and blocks[-1]["type"] in THINKING:
            kind = blocks.pop()["type"]
            self._losses.drop(self._client.blob if kind == "thinking" else self._client.redacted)
        turn.blocks = blocks + calls

    def _check_prefill(self, turns: list[EncodedTurn]) -> None:
        """Prepare a final assistant message, which the model continues: it must not end with white space."""
        if not self._target.facts.prefill:
            raise Untranslatable(
                self._client.messages,
                "The model does not continue an assistant message: the last one must be of the user or a tool.",
            )
        last = turns[-1].blocks[-1]
        if last["type"] == "text":
            last["text"] = last["text"].rstrip()


def _merged(turns: list[EncodedTurn]) -> list[EncodedTurn]:
    """The turns without empty ones, where no role follows itself."""
    found: list[EncodedTurn] = []
    for turn in turns:
        if turn.is_empty:
            continue
        if found and found[-1].role == turn.role:
            found[-1].results += turn.results
            found[-1].blocks += turn.blocks
            found[-1].late += turn.late
        else:
            found.append(turn)
    return found
