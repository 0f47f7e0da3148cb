"""The tests' own RabbitMQ."""

from __future__ import annotations

import aiormq

from tests.support.rabbit import OwnRabbit


async def test_a_broker_of_our_own_keeps_what_it_has_over_a_kill() -> None:
    async with OwnRabbit() as rabbit:
        connection = await aiormq.connect(rabbit.url)
        channel = await connection.channel()
        await channel.queue_declare("kept", durable=True)
        properties = aiormq.spec.Basic.Properties(delivery_mode=2)
        await channel.basic_publish(b"x", routing_key="kept", properties=properties)
        await rabbit.restart()
        await connection.close()
        assert (await rabbit.control("list_queues", "name", "messages")).split()[-2:] == ["kept", "1"]
