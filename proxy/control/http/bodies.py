"""What control requests bring along: small JSON documents, bounded and in time."""

from __future__ import annotations

from typing import Any

from proxy.errors import ClientFault
from proxy.net.budget import Budget
from proxy.server.body import BodyReader
from proxy.server.connection import Request
from proxy.wire import document

LIMIT = 1024 * 1024


class Bodies:
    """``budget`` is that of the whole process; a body may take ``timeout`` seconds to come (0: any time)."""

    def __init__(self, budget: Budget, timeout: float) -> None:
        self._budget = budget
        self._timeout = timeout

    async def read(self, request: Request) -> bytes:
        """The decoded body. Raises ClientFault (400, 408, 413, 415), Overloaded, ClientGone."""
        reader = BodyReader(request, limit=LIMIT, timeout=self._timeout, budget=self._budget)
        try:
            reader.admit()
            body = reader.taken()
            return await reader.whole() if body is None else body
        finally:
            reader.release()

    async def members(self, request: Request, *, optional: bool = False) -> dict[str, Any]:
        """The JSON object in the body; none, if it is ``optional`` and empty. Raises as ``read`` does."""
        body = await self.read(request)
        if optional and not body:
            return {}
        try:
            found = document.decode(body)
        except ValueError:
            raise ClientFault("The request body is not valid JSON.", code="invalid_json") from None
        if not isinstance(found, dict):
            raise ClientFault("The request body must be a JSON object.", code="invalid_json")
        return found
