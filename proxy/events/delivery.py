"""The queue of one webhook: events go out in order, each until its receiver has it or an hour has passed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from proxy.config.events_schema import Webhook
from proxy.events.backoff import GIVE_UP_SECS, delay
from proxy.events.base import GatewayEvent
from proxy.events.cloudevent import MEDIA_TYPE, encode
from proxy.events.sender import NoAnswer, SendWebhook
from proxy.events.signature import headers_of

MOST_WAITING: Final = 1000  # events
GONE: Final = 410  # the receiver wants no more events (Standard Webhooks, "Delivery success and failure")

Count = Callable[[str, str], None]
Sleep = Callable[[float], Awaitable[None]]


class DeliveryTools(Struct, frozen=True):
    """What all webhooks use. ``count`` is called with a webhook's host and ``delivered``, ``failed`` or ``dropped``."""

    send: SendWebhook
    wall: Callable[[], float]
    count: Count
    warn: Callable[..., None]
    log: Callable[..., None]
    chance: Random
    sleep: Sleep = asyncio.sleep


class WebhookDelivery:
    """Sends events to one webhook, while there are any. Its receiver may get an event twice, under the same id."""

    def __init__(self, settings: Webhook, tools: DeliveryTools) -> None:
        self.settings = settings
        self.host = urlsplit(str(settings.url)).netloc
        self._tools = tools
        self._waiting: deque[GatewayEvent] = deque()
        self._task: asyncio.Task[None] | None = None
        self._pause: asyncio.Future[None] | None = None  # between two tries
        self._failures = 0  # tries in a row
        self._dropped = 0  # since the last success
        self._gone = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<WebhookDelivery {self.host}: {len(self._waiting)} events waiting>"

    def __len__(self) -> int:
        """The number of events that wait."""
        return len(self._waiting)

    def offer(self, event: GatewayEvent) -> None:
        """Queue an event, if it is of a type that the webhook gets. Does not wait."""
        if self.settings.types and event.type not in self.settings.types:
            return
        if self._gone or self._closed:
            self._drop("it answered 410 Gone" if self._gone else "the gateway stops")
        elif len(self._waiting) >= MOST_WAITING:
            self._drop(f"{MOST_WAITING} events are waiting")
        else:
            self._waiting.append(event)
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._run(), name=f"webhook at {self.host}")

    async def close(self, seconds: float) -> None:
        """Send what waits, within so many seconds and up to the first failure. The rest is dropped."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=seconds)
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._drop_all("the gateway stops")

    # -- sending ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._waiting:
            if self._tools.wall() - self._waiting[0].time > GIVE_UP_SECS:
                self._waiting.popleft()
                self._drop("it could not be reached for an hour")
            elif (seconds := await self._try()) is not None:
                if self._closed:
                    break
                self._pause = asyncio.ensure_future(self._tools.sleep(seconds))
                await asyncio.wait((self._pause,))  # ``close`` may cancel it

    async def _try(self) -> float | None:
        """Send the first event; seconds to wait before the next try, ``None`` if it needs no other."""
        event, tools = self._waiting[0], self._tools
        body = encode(event)
        headers = headers_of(event.id, int(tools.wall()), body, self.settings.secret)
        try:
            answer = await tools.send(self.settings.url, headers | {"Content-Type": MEDIA_TYPE}, body)
        except NoAnswer as reason:
            return self._failed(str(reason), None)
        if 200 <= answer.status < 300:
            self._waiting.popleft()
            self._delivered()
            return None
        if answer.status == GONE:
            self._stop()
            return None
        return self._failed(f"status {answer.status}", answer.retry_after)

    def _delivered(self) -> None:
        self._tools.count(self.host, "delivered")
        if self._failures:
            self._tools.log("A webhook takes events again.", webhook=self.host, dropped=self._dropped)
        self._failures = self._dropped = 0

    def _failed(self, reason: str, requested: float | None) -> float:
        self._failures += 1
        self._tools.count(self.host, "failed")
        if self._failures == 1:
            self._tools.warn("A webhook takes no events; they are sent again.", webhook=self.host, reason=reason)
        return delay(self._failures, requested, self._tools.chance)

    def _stop(self) -> None:
        """Send nothing more until the configuration or the process is new."""
        self._gone = True
        self._tools.warn("A webhook answered 410 Gone. It gets no more events.", webhook=self.host)
        self._drop_all("it answered 410 Gone")

    def _drop_all(self, reason: str) -> None:
        while self._waiting:
            self._waiting.popleft()
            self._drop(reason)

    def _drop(self, reason: str) -> None:
        """Count an event that is lost. Only the first one since a success is logged: there may be thousands."""
        self._dropped += 1
        self._tools.count(self.host, "dropped")
        if self._dropped == 1:
            self._tools.warn("An event for a webhook was dropped, as others may be.", webhook=self.host, reason=reason)
