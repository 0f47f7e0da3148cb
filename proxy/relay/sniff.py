"""Recognition of event streams by their first bytes, if the media type does not say so.

Flask's default is ``text/html``; other servers send ``text/plain``, ``application/octet-stream`` or no type at all.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import GatewayError
from proxy.relay.body import Body
from proxy.routing.endpoints import Endpoint
from proxy.wire.sse import begins_events

MAX_BLANK = 64 * 1024  # bytes of blank lines; some providers send them before JSON to keep a connection open
_MEDIA = (b"audio/", b"image/", b"video/")


def may_be_events(kind: bytes, endpoint: Endpoint) -> bool:
    """Whether an answer of this media type can be the event stream that the client requested.

    ``False`` if the endpoint has binary answers: raw audio may begin with a colon.
    """
    return endpoint.answer == "json" and not kind.startswith(_MEDIA)


class Sniffer:
    """A body whose kind is not known yet. ``choose(events)`` makes the body that replaces it."""

    __slots__ = ("_body", "_choose", "_seen")

    committed = False  # the chosen body replaces this one before anything is sent

    def __init__(self, choose: Callable[[bool], Body]) -> None:
        self._choose = choose
        self._seen = b""
        self._body: Body | None = None

    def feed(self, chunk: bytes) -> None:
        if self._body is not None:
            self._body.feed(chunk)
            return
        self._seen += chunk
        events = begins_events(self._seen)
        if events is not None or len(self._seen) > MAX_BLANK:
            self._begin(bool(events)).feed(self._seen)

    def end(self) -> None:
        """The body is too short for an event."""
        body = self._begin(False)
        if self._seen:
            body.feed(self._seen)
        body.end()

    def broken(self, fault: GatewayError) -> None:
        """Never called, as nothing is committed."""

    def release(self) -> None:
        self._seen = b""

    def _begin(self, events: bool) -> Body:
        self._body = self._choose(events)
        return self._body
