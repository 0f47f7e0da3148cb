"""A consumer of one queue that keeps what it received, and acknowledges it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import Any, Self

import aiormq
from aiormq.abc import DeliveredMessage

from proxy.runtime.cancelling import cancel_until_done

AGAIN_SECS = 0.2  # after a lost connection


class Listener:
    """``seen``: how often each event arrived, by id. ``events``: the first of each. ``raw``: bodies that are no events.

    A consumer that keeps ids in its database handles just these.
    """

    def __init__(self, url: str, queue: str) -> None:
        self.queue = queue
        self.seen: Counter[str] = Counter()
        self.events: dict[str, dict[str, Any]] = {}
        self.raw: list[bytes] = []
        self.reject = True  # what is no event
        self._url = url
        self._closed = False
        self._task = asyncio.ensure_future(self._run())

    def of_type(self, type_: str) -> dict[str, dict[str, Any]]:
        return {id_: event for id_, event in self.events.items() if event["type"] == f"io.sluice.{type_}"}

    async def close(self) -> None:
        self._closed = True  # an error of the library may take the place of the cancellation
        cancel_until_done(self._task)
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        while not self._closed:
            try:
                await self._listen()
            except (OSError, aiormq.AMQPError, RuntimeError):
                pass  # the broker was killed, or the queue deleted
            await asyncio.sleep(AGAIN_SECS)

    async def _listen(self) -> None:
        connection = await aiormq.connect(f"{self._url}?heartbeat=10")
        try:
            channel = await connection.channel()
            await channel.basic_qos(prefetch_count=200)
            await channel.basic_consume(self.queue, self._take)
            # A queue that is deleted ends the consumption without a word to basic_consume.
            while not (self._closed or channel.is_closed) and await self._exists(connection):  # noqa: ASYNC110
                await asyncio.sleep(AGAIN_SECS)
        finally:
            with suppress(Exception):
                async with asyncio.timeout(1.0):
                    await connection.close()

    async def _exists(self, connection: Any) -> bool:
        channel = await connection.channel()
        try:
            found = await channel.queue_declare(self.queue, passive=True)
        finally:
            if not channel.is_closed:
                await channel.close()
        return bool(found.consumer_count)

    async def _take(self, message: DeliveredMessage) -> None:
        tag = message.delivery.delivery_tag
        assert tag is not None
        try:
            found = json.loads(message.body)
            events = found if isinstance(found, list) else [found]
            ids = [str(each["id"]) for each in events]
        except (ValueError, LookupError, TypeError):
            self.raw.append(message.body)
            if self.reject:
                await message.channel.basic_reject(tag, requeue=False)
            else:
                await message.channel.basic_ack(tag)
            return
        for id_, event in zip(ids, events, strict=True):
            self.seen[id_] += 1
            self.events.setdefault(id_, event)
        await message.channel.basic_ack(tag)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
