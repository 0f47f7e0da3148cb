"""What the tests of NATS use: settings, messages, and what a stream has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any

import pytest
from msgspec import json, structs

from proxy.events.broker.base import BrokerMessage, BrokerUnavailable, Publisher
from proxy.events.settings import BrokerSettings
from tests.support.patience import within

pytest.importorskip("nats")

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from proxy.events.broker.nats import open_publisher


class Said:
    """Log lines: the text, and its fields."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, text: str, **fields: Any) -> None:
        self.lines.append((text, fields))

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.lines]


def settings(*addresses: str, **changes: Any) -> BrokerSettings:
    return structs.replace(BrokerSettings(addresses, f"test-{token_hex(6)}.events"), **changes)


def event(id_: str, type_: str = "ai_usage", *, ledger: bool = False, size: int = 0) -> BrokerMessage:
    body = json.encode({"id": id_, "type": f"io.sluice.{type_}", "data": {"text": "x" * size}})
    return BrokerMessage(id_, type_, "application/cloudevents+json", body, ledger)


async def stored(url: str, stream: str) -> list[Any]:
    """The messages that a stream has, oldest first."""
    client = Client()
    await client.connect(url)
    try:
        js = client.jetstream()
        state, found = (await js.stream_info(stream)).state, []
        for place in range(state.first_seq, state.last_seq + 1):
            with suppress(NotFoundError):
                found.append(await js.get_msg(stream, place))
        return found
    finally:
        await client.close()


async def fetched(url: str, stream: str, consumer: str, most: int = 1000) -> list[str]:
    """Take what a durable consumer has, accept it, and return the ids of the events."""
    client = Client()
    await client.connect(url)
    try:
        subscription = await client.jetstream().pull_subscribe_bind(consumer, stream)
        found: list[str] = []
        while True:
            try:
                messages = await subscription.fetch(most, timeout=0.3)
            except TimeoutError:
                if not await _is_owed(subscription):
                    return found
                continue  # a busy server sends them late
            for each in messages:
                await each.ack_sync()
                found.append(ids_of([each.data])[0])
    finally:
        await client.close()


async def _is_owed(subscription: JetStreamContext.PullSubscription) -> bool:
    """Whether its consumer has messages that were not accepted; not while a cluster chooses the consumer's leader."""
    try:
        found = await subscription.consumer_info()
    except (NatsError, TimeoutError):
        return False
    return bool(found.num_pending or found.num_ack_pending)


def ids_of(bodies: Sequence[bytes]) -> list[str]:
    return [str(json.decode(each)["id"]) for each in bodies]


async def ask(url: str, path: str, body: object = None) -> Any:
    """A request to JetStream's API, that must succeed."""
    client = Client()
    await client.connect(url)
    try:
        answer = await client.request(f"$JS.API.{path}", json.encode(body) if body else b"")
    finally:
        await client.close()
    found = json.decode(answer.data)
    assert "error" not in found, found
    return found


async def published(publisher: Publisher, message: BrokerMessage) -> None:
    while True:
        try:
            return await publisher.publish([message])
        except BrokerUnavailable:
            await asyncio.sleep(0.01)


async def reason_of_failure(url: str, **changes: Any) -> str:
    """Why an event cannot be published."""
    publisher = open_publisher(settings(url, **changes), Said(), Said())
    with pytest.raises(BrokerUnavailable) as caught:
        await within(publisher.publish([event("a")]), "a reason")
    await publisher.close()
    reason = str(caught.value)
    assert "secret" not in reason
    assert "\n" not in reason
    return reason


async def make_stream(url: str, name: str, subjects: list[str], **changes: Any) -> None:
    await ask(url, f"STREAM.CREATE.{name}", {"name": name, "subjects": subjects, "storage": "file"} | changes)
