"""The webhooks of the configuration. They can be replaced while the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from proxy.config.events_schema import Webhook
from proxy.events.base import GatewayEvent
from proxy.events.delivery import DeliveryTools, WebhookDelivery

LAST_TRY_SECS: Final = 4.0  # at the stop, whose steps have 5 s


class Webhooks:
    """An ``EventSink``: each webhook gets each event of its types, one webhook independent of another."""

    def __init__(self, settings: Sequence[Webhook], tools: DeliveryTools) -> None:
        self._tools = tools
        self._deliveries = [WebhookDelivery(each, tools) for each in settings]
        self._leaving: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Webhooks {self._deliveries}>"

    def offer(self, event: GatewayEvent) -> None:
        for each in self._deliveries:
            each.offer(event)

    def adopt(self, settings: Sequence[Webhook]) -> None:
        """Replace the webhooks. One that is unchanged keeps its queue; one that is left out gets a last try."""
        kept = [*self._deliveries]
        self._deliveries = [self._kept(each, kept) or WebhookDelivery(each, self._tools) for each in settings]
        for each in kept:
            task = asyncio.get_running_loop().create_task(each.close(LAST_TRY_SECS), name=repr(each))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Send what waits, within 4 s."""
        closing = [each.close(LAST_TRY_SECS) for each in self._deliveries]
        await asyncio.gather(*closing, *self._leaving)

    def _kept(self, settings: Webhook, kept: list[WebhookDelivery]) -> WebhookDelivery | None:
        """Take the delivery with these settings from ``kept``; ``None``: there is none."""
        for number, each in enumerate(kept):
            if each.settings == settings:
                return kept.pop(number)
        return None
