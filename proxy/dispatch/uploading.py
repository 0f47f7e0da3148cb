"""The dispatch of a body that streams through: it can be sent again only as long as nothing of it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from proxy.dispatch.asking import Asking, upload_head
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.failure import AttemptFailure
from proxy.exchange import Attempt
from proxy.relay.upstream_request import UpstreamRequest
from proxy.responder import Responder
from proxy.routing.endpoints import OPAQUE
from proxy.routing.plan import Plan
from proxy.routing.routes import Route
from proxy.server.form import chunked

# Of a deployment: the pieces of the body for it, and their length where it is known.
Body = Callable[[Attempt], tuple[AsyncIterator[bytes], int | None]]


class Uploading(Asking):
    """``body`` is called for each attempt; what it gives is read at most once."""

    def __init__(self, dispatcher: Dispatcher, responder: Responder, plan: Plan, route: Route, body: Body) -> None:
        super().__init__(dispatcher, responder, plan)
        self._route = route
        self._body = body
        self._begun = False

    def _ask(self, attempt: Attempt) -> UpstreamRequest:
        responder, route = self._responder, self._route
        body, length = self._body(attempt)
        pieces = self._watched(body)
        upload: AsyncIterator[bytes] | None = pieces
        opaque = route.endpoint is OPAQUE
        if length is not None:
            framing = b"Content-Length: %d\r\n" % length
        elif not opaque or "Transfer-Encoding" in responder.request.headers:  # a compressed form has no known length
            framing, upload = b"Transfer-Encoding: chunked\r\n", chunked(pieces)
        else:
            framing, upload = b"", None
        return UpstreamRequest(
            head=upload_head(responder, attempt, route.path, framing, opaque=opaque),
            body=(),
            size=0,
            asker=self,
            attempt=attempt,
            upload=upload,
            no_body=responder.request.method == "HEAD",
        )

    def _repeatable(self, failure: AttemptFailure) -> bool:
        # A request without a body has nothing to begin with, and may have run all the same.
        return not self._begun and super()._repeatable(failure)

    async def _watched(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._begun = True
        async for piece in pieces:
            yield piece
