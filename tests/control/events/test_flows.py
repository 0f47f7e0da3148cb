"""Dead letters of a real broker, read and moved by the real process."""

from __future__ import annotations

from pathlib import Path

from proxy.events.broker.amqp import open_publisher
from proxy.events.broker.base import BrokerMessage
from tests.control.events.rig import event_plane
from tests.support.rabbit import Notes, RabbitExchange, rabbit_exchange


async def refuse(broker: RabbitExchange, *ids: str) -> None:
    """Publish events, which a consumer of usage rejects."""
    notes = Notes()
    publisher = open_publisher(broker.settings(), notes.warn, notes.log)
    try:
        body = b'{"data":{"owner":"alice"}}'
        await publisher.publish([BrokerMessage(each, "ai_usage", "application/json", body) for each in ids])
    finally:
        await publisher.close()
    channel = await broker.connection.channel()
    for _ in ids:
        message = await channel.basic_get(broker.names.usage)
        await channel.basic_reject(message.delivery.delivery_tag, requeue=False)
    await channel.close()


async def test_messages_that_a_consumer_refused_are_shown_and_sent_again(tmp_path: Path) -> None:
    async with rabbit_exchange() as broker:
        events = {"url": broker.url, "exchange": broker.names.exchange}
        async with event_plane(tmp_path, events=events) as plane:
            await refuse(broker, "e1", "e2", "e3")
            found = (await plane.get("/admin/dead-letters?limit=2"))["data"]
            assert [each["id"] for each in found] == ["e1", "e2"]
            assert (found[0]["type"], found[0]["queue"], found[0]["reason"]) == (
                "ai_usage",
                broker.names.usage,
                "rejected",
            )
            assert found[0]["body"] == {"data": {"owner": "alice"}}
            path = "/admin/dead-letters/send-again"
            assert await plane.post(path, {"ids": ["e2"]}) == {"count": 1, "more": False}
            assert await broker.ids(broker.names.usage) == ["e2"]
            assert await plane.post(path, {"all": True}) == {"count": 2, "more": False}
            assert await broker.ids(broker.names.usage) == ["e1", "e3"]
            assert (await plane.get("/admin/dead-letters"))["data"] == []


async def test_a_broker_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    async with event_plane(tmp_path, events={"url": "amqp://user:secret-word@127.0.0.1:1"}) as plane:
        answer = await plane.server.ask("GET", "/admin/dead-letters")
        assert (answer.status, answer.json["error"]["code"]) == (503, "broker_unavailable")
        assert "127.0.0.1:1" in answer.json["error"]["message"]
        assert b"secret-word" not in answer.body
