"""The events of a Responses stream, encoded from the parts of an answer.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from proxy.dialects.openai.responses.client.events import ResponseEvents
from proxy.dialects.openai.responses.client.items import REFUSED, ResponseItems
from proxy.dialects.openai.responses.client.open_output import OpenOutput
from proxy.dialects.openai.responses.client.response_object import INCOMPLETE, ResponseObject, ResponseStatus
from proxy.dialects.openai.responses.failure import failed_event, response_error
from proxy.dialects.translation.answer_losses import CitationMembers
from proxy.dialects.translation.base import AnswerContext, StreamEncoder
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.errors import GatewayError


class ResponsesStreamEncoder(StreamEncoder):
    """Two events that begin the response, those of its output, and one with the whole response."""

    __slots__ = ("_begun", "_events", "_finish", "_output", "_response")

    sequential: ClassVar[bool] = True
    cites: ClassVar[CitationMembers] = CitationMembers(
        page=frozenset({"title", "place"}), document=frozenset({"title", "file_id", "place"})
    )

    def __init__(self, context: AnswerContext) -> None:
        super().__init__(context)
        self._events = ResponseEvents()
        self._response = ResponseObject(context)
        self._output = OpenOutput(self._events, ResponseItems(context))
        self._begun = False
        self._finish = Finish("stop")

    def encode(self, part: AnswerPart) -> bytes:
        output = self._output
        if type(part) is TextDelta and output.text is not None and part.text:
            events = output.text.add(part.text)
        elif type(part) is CallDelta and output.call is not None:
            events = output.call.add(part.text)
        elif type(part) is ReasoningDelta and output.thoughts is not None:
            events = output.add(part)
        else:
            events = self._encode(part)
        self.sequence = self._events.number
        return events

    def finish(self) -> bytes:
        finish, output = self._finish, self._output
        events = self._begin()
        if finish.reason == "refusal" and not output.refused:
            events += output.add(RefusalDelta(finish.detail or REFUSED))
        incomplete = INCOMPLETE.get(finish.reason, "")
        events += output.close(cut=bool(incomplete))
        status: ResponseStatus = "incomplete" if incomplete else "completed"
        events += self._lifecycle(status, self._response.make(status, output.done, incomplete=incomplete))
        self.sequence = self._events.number
        return events

    def failed(self, fault: GatewayError) -> bytes:
        output = self._output
        error = response_error(fault, begun=output.begun)
        self._events.number += 1
        self.sequence = self._events.number
        return failed_event(fault, self._response.make("failed", output.done, error=error), self.sequence)

    def _encode(self, part: AnswerPart) -> bytes:
        match part:
            case Start():
                self._response.name_model(part.model)
                return self._begin()
            case UsagePart():
                self._response.usage = part.usage
                return b""
            case Finish():
                self._finish = part
                return b""
        return self._begin() + self._output.add(part)

    def _begin(self) -> bytes:
        """The first two events, when the name of the model is known."""
        if self._begun:
            return b""
        self._begun = True
        response = self._response.make("in_progress")
        return self._lifecycle("created", response) + self._lifecycle("in_progress", response)

    def _lifecycle(self, name: str, response: bytes) -> bytes:
        return self._events.make(f"response.{name}", {"response": msgspec.Raw(response)})
