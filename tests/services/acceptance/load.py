"""A steady load of requests, and what became of each."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType
from typing import Final, NamedTuple

import aiohttp

POST_EVERY: Final = 4  # of four requests one is a POST with a body, the others are GETs


class Answered(NamedTuple):
    """``at``, ``ended``: in seconds of the loop's clock. ``backend``: ``""`` with an ``error``."""

    method: str
    at: float
    ended: float
    backend: str
    error: str = ""

    def during(self, begin: float, end: float) -> bool:
        """Whether the request was in flight at some time from ``begin`` to ``end``."""
        return self.at <= end and self.ended >= begin


class Load:
    """``rate`` requests a second to ``url``. None waits for another one."""

    def __init__(self, url: str, rate: int) -> None:
        self._url = url
        self._rate = rate
        self.answered: list[Answered] = []
        self._sending: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Load:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._sending = asyncio.create_task(self._send())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._sending is not None
        self._sending.cancel()
        await asyncio.gather(self._sending, *self._running, return_exceptions=True)
        await self._session.close()

    @property
    def errors(self) -> list[Answered]:
        return [each for each in self.answered if each.error]

    def used(self, after: float, before: float) -> Counter[str]:
        """Requests by backend that were sent in this time."""
        return Counter(each.backend for each in self.answered if after <= each.at < before and not each.error)

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while True:
            number += 1
            task = asyncio.create_task(self._call("GET" if number % POST_EVERY else "POST"))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await asyncio.sleep(began + number / self._rate - loop.time())

    async def _call(self, method: str) -> None:
        now = asyncio.get_running_loop().time
        at = now()
        try:
            async with self._session.request(method, self._url, data=b"body" if method == "POST" else None) as answer:
                body = await answer.text()
                error = "" if answer.status == 200 else f"{answer.status}: {body[:200]}"
        except (aiohttp.ClientError, OSError, TimeoutError) as failure:
            body, error = "", repr(failure)
        self.answered.append(Answered(method, at, now(), "" if error else body, error))
