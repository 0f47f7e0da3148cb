"""The parts of an answer in neutral terms, in the order in which a model makes them.

An ``AnswerDecoder`` makes them of events or of a whole answer, an encoder events or an answer of them.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from proxy.dialects.translation.conversation import Blob, Citation, ToolKind
from proxy.dialects.usage import Usage

# ``stop``: the model ended its turn. ``pause``: the provider paused a long turn. ``context``: the context is full.
FinishReason = Literal["stop", "stop_sequence", "length", "tool_calls", "refusal", "content_filter", "pause", "context"]


class Start(Struct, gc=False):
    """The first part. ``id`` and ``model`` as the provider has them, ``""`` where it names none."""

    id: str = ""
    model: str = ""


class ChoicePart(Struct, gc=False):
    """The parts after it, up to the next of its kind, belong to the choice ``index``. Only in answers with several."""

    index: int


class TextDelta(Struct, gc=False):
    text: str


class ReasoningDelta(Struct, gc=False):
    """``summary``: the text belongs to a summary of the thoughts."""

    text: str
    summary: bool = False


class ReasoningBlob(Struct, gc=False):
    """What belongs to the reasoning before it (a signature), or stands instead of one. Never split."""

    blob: Blob


class RefusalDelta(Struct, gc=False):
    text: str


class CallStart(Struct, gc=False):
    """A tool call. ``index`` tells the calls of an answer apart. ``id`` is ``""`` where the provider gives none."""

    index: int
    id: str
    name: str
    kind: ToolKind = "function"
    namespace: str = ""
    blob: Blob | None = None


class CallDelta(Struct, gc=False):
    """More of a call's arguments: JSON text, or the raw text of a custom tool."""

    index: int
    text: str


class CallEnd(Struct, gc=False):
    """The arguments are complete. Need not come: the end of the answer ends all calls."""

    index: int


class BlockEnd(Struct, gc=False):
    """The text, reasoning or refusal before it is complete: what follows is another block, even of the same kind."""


class CitationPart(Struct, gc=False):
    """A source of the text that is being written."""

    citation: Citation


class LogprobsPart(Struct, gc=False):
    """Log probabilities of the text before it, as OpenAI has them: ``[{token, logprob, bytes, top_logprobs}]``."""

    tokens: list[Any]
    of_refusal: bool = False


class UsagePart(Struct, gc=False):
    """The usage so far: each replaces those before it."""

    usage: Usage


class Finish(Struct, gc=False):
    """Why the model stopped. ``sequence``: the stop sequence. ``detail``: the provider's own words, for a refusal."""

    reason: FinishReason
    sequence: str = ""
    detail: str = ""


class AnswerFailed(Struct, gc=False):
    """The provider gave the answer up for a reason that no ``Finish`` has. ``message``: a sentence for the client."""

    message: str


class Dropped(Struct, gc=False):
    """The answer had something that no other dialect has, such as ``web_search_tool_result``."""

    name: str


AnswerPart: TypeAlias = (
    Start
    | ChoicePart
    | TextDelta
    | ReasoningDelta
    | ReasoningBlob
    | RefusalDelta
    | CallStart
    | CallDelta
    | CallEnd
    | BlockEnd
    | CitationPart
    | LogprobsPart
    | UsagePart
    | Finish
    | AnswerFailed
    | Dropped
)
