"""The face of a dialect: readers of what clients and providers send, and a writer of what the gateway itself sends."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum, auto
from typing import ClassVar, Final

from msgspec import Struct

from proxy.dialects import provider_error
from proxy.dialects.call import Call
from proxy.dialects.media import MediaMarks
from proxy.dialects.provider_error import ProviderError
from proxy.dialects.usage import Usage
from proxy.errors import GatewayError
from proxy.wire.renaming import renamed, renamed_event

BYTES_PER_TOKEN: Final = 4  # of text, in an estimate
MOST_ROUGH: Final = 1024 * 1024  # bytes of a body that is searched for marks

_is_object: Final = re.compile(rb"[ \t\r\n]*\{").match
_is_empty: Final = re.compile(rb"[ \t\r\n]*\{[ \t\r\n]*\}").match


class EventKind(Enum):
    """What an event is to the relay."""

    COMMENT = auto()  # no field at all
    NO_DATA = auto()  # fields, but no data among them: the OpenAI SDK raises on it
    MALFORMED = auto()  # data that is neither [DONE] nor JSON to any parser
    PRELIMINARY = auto()  # JSON before any content: a role, a filter result
    CONTENT = auto()  # JSON that the client waits for
    USAGE = auto()  # the usage event that the gateway asked for and the client did not
    ERROR = auto()  # the provider reports a failure
    UNFRAMED_ERROR = auto()  # an error object outside of any event: event-stream parsers skip it
    DONE = auto()  # [DONE], or the terminal event of the dialect


class AnswerInfo(Struct, frozen=True, gc=False):
    """Facts of a whole answer. ``model`` is ``""`` where the provider reported none.

    ``strict``: every JSON parser reads the answer, not only lenient ones.
    """

    model: str = ""
    usage: Usage | None = None
    strict: bool = True


class Reader(ABC):
    """Reads one event stream of a provider, without changing a byte of it.

    ``choices`` is how many finish reasons end the stream. ``hide_usage``: only the gateway asked for the usage event;
    ``wants_usage``: the client did.

    ``error`` is the last one that the provider reported. ``lenient`` counts events whose JSON only lenient parsers
    read. ``sequence`` is the number of the last event, -1 where events have none. ``answer_id``: of the answer, where
    errors name it. ``complete``: all content came, whatever ends the stream now. ``ended``: the terminal event itself
    came.
    """

    __slots__ = (
        "_choices",
        "_hide_usage",
        "_usage",
        "_wants_usage",
        "answer_id",
        "complete",
        "ended",
        "error",
        "lenient",
        "response_model",
        "sequence",
    )

    def __init__(self, choices: int = 1, hide_usage: bool = False, wants_usage: bool = False) -> None:
        self._choices = choices
        self._hide_usage = hide_usage
        self._wants_usage = wants_usage
        self._usage: Usage | None = None
        self.response_model = self.answer_id = ""
        self.error: ProviderError | None = None
        self.lenient = 0
        self.sequence = -1
        self.complete = False
        self.ended = False

    def plain(self, block: bytes) -> bool:
        """Whether the block is one well-formed event of plain content, whose usage, if any, was noted.

        Called once per token. ``False`` claims nothing: ``read`` is called next.
        """
        return False

    @abstractmethod
    def read(self, block: bytes, *, first: bool = False) -> EventKind:
        """Read an event that is not ``plain``. ``first`` is the start of the stream, where a BOM may stand."""

    @property
    def open_ended(self) -> bool:
        """Whether the stream is whole where HTTP framing ends it, even if it is not ``complete``."""
        return False

    @property
    def whole(self) -> bool:
        """Whether nothing of the answer is missing, so that ``usage`` is all that was used."""
        return self.complete or self.ended or self.open_ended

    @property
    def usage(self) -> Usage | None:
        """The usage that the stream reported so far."""
        return self._usage

    @property
    def awaits_usage(self) -> bool:
        """Whether all content came, and what was used may still follow."""
        return self.complete and self.usage is None and not self.ended and self.error is None

    @property
    def lacks_usage(self) -> bool:
        """Whether the client asked for a usage event that has not come."""
        return False

    @staticmethod
    @abstractmethod
    def read_answer(body: bytes) -> AnswerInfo:
        """Read a whole 2xx answer. Raises BrokenAnswer, and ErrorInStream for an error in disguise."""

    @staticmethod
    def read_error(body: bytes) -> ProviderError | None:
        """The error of an answer with an error status, ``None`` where there is none to read."""
        return provider_error.refused(body)


class RequestReader(ABC):
    """Reads the JSON bodies of requests. Stateless.

    ``media_marks``: one of them is in every body with images, sound or documents that an estimate counts. ``media``:
    how all content is found that is no text. ``kept_context``: members that name more input, which the provider keeps.
    """

    __slots__ = ()

    media_marks: ClassVar[tuple[bytes, ...]] = ()
    media: ClassVar[MediaMarks]
    kept_context: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def read(self, body: bytes, checked: bool = False) -> Call:
        """Read a body. ``checked``: ``check`` has run. Raises ClientFault with the member that is wrong."""

    @abstractmethod
    def check(self, body: bytes) -> Iterator[None]:
        """The checks of ``read`` that can run in steps, for a large body. Raises ClientFault."""

    def with_usage(self, call: Call) -> bytes:
        """The call's ``stream_options`` with a request for the usage, as JSON. For a dialect with ``usage_option``."""
        return b'{"include_usage":true}'

    def model_changes(self, call: Call, model: str) -> dict[str, bytes | None]:
        """The changes to a body that names its model although the path does, for a provider that calls it ``model``."""
        return {}

    @abstractmethod
    def prompt_tokens(self, call: Call, per_image: int, per_audio: int) -> int:
        """Estimate the tokens of the input, with a fixed number for each image and audio part. Never raises."""

    def rough_tokens(self, call: Call, per_image: int, per_audio: int) -> int:
        """The same by the bytes of the body, which costs a tenth. It includes the punctuation of the JSON."""
        body = call.body
        if len(body) > MOST_ROUGH:
            return self.prompt_tokens(call, per_image, per_audio)
        for mark in self.media_marks:
            if body.find(mark) >= 0:  # half the cost of ``in``
                return self.prompt_tokens(call, per_image, per_audio)
        return len(body) // BYTES_PER_TOKEN

    @abstractmethod
    def output_tokens(self, call: Call, model_max: int, default: int) -> int:
        """Most tokens of a generated answer: the call's limit, else ``model_max`` (0: unknown), else ``default``."""


class Writer(ABC):
    """Makes what the gateway itself sends to a client. Stateless.

    ``terminal`` is the event that ends a stream, ``b""`` where the last event of the content does. It is added to a
    complete stream that broke before it; with ``ends_always`` also to one that ended without it. ``ping`` is sent while
    the client waits: a comment, or an event. ``takes_comments``: whether clients can read a provider's comments.
    """

    terminal: ClassVar[bytes] = b""
    ends_always: ClassVar[bool] = False
    ping: ClassVar[bytes] = b": ping\n\n"
    takes_comments: ClassVar[bool] = True
    id_header: ClassVar[bytes] = b""  # where clients look for the id of a request, if not in x-request-id
    model_places: ClassVar[tuple[tuple[str, ...], ...]] = (("model",),)  # where answers and events name the model

    @abstractmethod
    def error_body(self, fault: GatewayError) -> bytes:
        """The body of an error response."""

    @abstractmethod
    def error_event(self, fault: GatewayError, sequence: int, answer_id: str = "") -> bytes:
        """The event, or events, that report a failure within a stream, after the event with number ``sequence``.

        ``answer_id``: of the answer that broke, ``""`` if it is not known.
        """

    def error_tail(self, fault: GatewayError) -> bytes:
        """What follows the error that ends a stream, in a write of its own; ``b""`` for nothing."""
        return b""

    @abstractmethod
    def relayed_error(self, error: ProviderError, body: bytes, status: int) -> bytes:
        """The body of a provider's error response, of which ``error`` was read."""

    def with_metadata(self, body: bytes, member: bytes) -> bytes:
        """A JSON answer with one more member; the body itself where it is no object.

        Copies it once, decodes nothing.
        """
        if body.startswith(b'{"') and body.endswith(b"}"):  # the usual form
            return b"".join((memoryview(body)[:-1], b",", member, b"}"))
        if not _is_object(body):
            return body
        view, end = memoryview(body), body.rindex(b"}")
        return b"".join((view[:end], b"" if _is_empty(body) else b",", member, view[end:]))

    def with_model(self, body: bytes, name: bytes) -> bytes:
        """An answer that names this model (a JSON string) instead of its own. All other bytes stay."""
        return renamed(body, self.model_places, name)

    def with_model_in_event(self, block: bytes, name: bytes) -> bytes:
        """The same for an event of a stream."""
        return renamed_event(block, self.model_places, name)

    def metadata_comment(self, document: bytes) -> bytes:
        """The router metadata within a stream; ``b""`` where clients cannot take comments."""
        return b": _router %b\n\n" % document
