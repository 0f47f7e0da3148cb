"""Refused requests, in words that each API of the demo writes in its own form."""

from __future__ import annotations


class DemoRefusal(Exception):
    """The request ends with an error status.

    ``kind``, ``code`` and ``param`` are OpenAI's words. ``retry_after``: seconds; ``allow``: the method to use.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        allow: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after = retry_after
        self.allow = allow

    @property
    def headers(self) -> dict[str, str]:
        return {"Allow": self.allow} if self.allow else {}
