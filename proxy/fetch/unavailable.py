"""Why content cannot be fetched."""

from __future__ import annotations

from proxy.dialects.translation.absent import WantedContent


class ContentUnavailable(Exception):
    """Content cannot be fetched.

    The text is for the client: the end of a sentence that begins with "the content", without the address. ``detail`` is
    for the log. ``wanted``: the content; ``None``: all of the request.
    """

    wanted: WantedContent | None = None

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail
