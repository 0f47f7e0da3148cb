"""Events as POSTs to a webhook, each with a signature and a back-off of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from proxy.events.backoff import delay
from proxy.events.cloudevent import MEDIA_TYPE
from proxy.events.outbox.base import WaitingEvent
from proxy.events.sender import NoAnswer, SendWebhook, WebhookAnswer
from proxy.events.sending.base import RefusedEvent, SendOutcome
from proxy.events.settings import WebhookSettings
from proxy.events.signature import headers_of

MOST: Final = 64  # events between two settlements, of which a crash repeats some
IN_ORDER: Final = 16  # so few are sent one after another; of more, several at once
AT_ONCE: Final = 8
GIVE_UP_SECS: Final = 86400.0
GONE: Final = 410  # the receiver wants no more events (Standard Webhooks, "Delivery success and failure")


class WebhookReceiver:
    """``wall`` is Unix time, ``chance`` makes the jitter."""

    noun = "webhook"
    most = MOST
    probes = True
    give_up_secs = GIVE_UP_SECS

    def __init__(self, settings: WebhookSettings, send: SendWebhook, wall: Callable[[], float], chance: Random) -> None:
        self._settings = settings
        self._send = send
        self._wall = wall
        self._chance = chance

    async def send(self, events: Sequence[WaitingEvent]) -> SendOutcome:
        """Stops after the first failure."""
        outcome = SendOutcome()
        at_once = 1 if len(events) <= IN_ORDER else AT_ONCE
        for begin in range(0, len(events), at_once):
            part = events[begin : begin + at_once]
            answers = await asyncio.gather(*map(self._post, part))
            for event, answer in zip(part, answers, strict=True):
                _note(event, answer, outcome)
            if outcome.refused or outcome.gone:
                break
        return outcome

    def pause(self, failures: int, retry_after: float | None) -> float:
        """None after the first failure: it may be the event's fault, which the next one shows."""
        if failures == 1 and retry_after is None:
            return 0.0
        return delay(max(failures - 1, 1), retry_after, self._chance)

    def later(self, tries: int, retry_after: float | None) -> float:
        return delay(tries, retry_after, self._chance)

    async def close(self) -> None:
        """Each POST has a connection of its own."""

    async def _post(self, event: WaitingEvent) -> WebhookAnswer | str:
        """The answer, or why there is none."""
        headers = headers_of(event.id, int(self._wall()), event.body, self._settings.secret)
        try:
            return await self._send(self._settings.url, headers | {"Content-Type": MEDIA_TYPE}, event.body)
        except NoAnswer as reason:
            return str(reason)


def _note(event: WaitingEvent, answer: WebhookAnswer | str, outcome: SendOutcome) -> None:
    if isinstance(answer, str):
        outcome.refused.append(RefusedEvent(event, answer))
    elif 200 <= answer.status < 300:
        outcome.sent.append(event.seq)
    elif answer.status == GONE:
        outcome.gone = True
    else:
        outcome.refused.append(RefusedEvent(event, f"status {answer.status}"))
        if answer.retry_after is not None:
            outcome.retry_after = max(outcome.retry_after or 0.0, answer.retry_after)
