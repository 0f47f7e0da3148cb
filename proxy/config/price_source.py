"""The prices at ``pricesUrl``: fetched, and kept as long as no better ones come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from proxy.config.loader import bare
from proxy.config.price_document import PriceDocument, read_prices
from proxy.config.remote import Copy, FetchFailed

Fetch = Callable[[str, Mapping[str, str]], Awaitable[bytes]]


class PriceSource:
    """``document``: the last valid one of the URL that was loaded last; ``None``: none, so the shipped prices apply."""

    def __init__(self, fetch: Fetch) -> None:
        self.document: PriceDocument | None = None
        self._fetch = fetch
        self._url = ""
        self._fetched: bytes | None = None  # valid or not

    async def load(self, url: str, environ: Mapping[str, str]) -> list[str]:
        """Fetch the document at ``url``, or keep the last valid one; returns notices. ``""``: use none."""
        if url != self._url:
            self.document, self._fetched, self._url = None, None, url
        if not url:
            return []
        try:
            return await self._take(await self._fetch(url, environ), environ)
        except FetchFailed as failure:
            why = str(failure)
        except ValueError as mistakes:
            why = str(mistakes)
        return [f"pricesUrl: {bare(url)} {why}; {await self._kept(environ)}"]

    async def changed(self, environ: Mapping[str, str]) -> bool:
        """Fetch the document again; whether there is another valid one. Raises FetchFailed with the reason."""
        content = await self._fetch(self._url, environ)
        if content == self._fetched:
            return False
        self._fetched = content
        try:
            await asyncio.to_thread(read_prices, content)
        except ValueError as mistakes:
            raise FetchFailed(str(mistakes)) from None
        return True

    async def _take(self, content: bytes, environ: Mapping[str, str]) -> list[str]:
        """Raises ValueError with the document's mistakes."""
        self._fetched = content
        self.document = await asyncio.to_thread(read_prices, content)
        why_not = self._copy(environ).write(content)
        return [f"pricesUrl: {bare(self._url)} cannot be cached: {why_not}"] if why_not else []

    async def _kept(self, environ: Mapping[str, str]) -> str:
        """Fall back to the last valid document; says which."""
        if self.document is None and (content := self._copy(environ).read()) is not None:
            try:
                self.document = await asyncio.to_thread(read_prices, content)
            except ValueError:
                pass  # written by another version
        return "the shipped prices are used" if self.document is None else "the last valid prices stay in use"

    def _copy(self, environ: Mapping[str, str]) -> Copy:
        return Copy(self._url, environ, "prices-{}.json")
