"""Messages and their confirms: windows, frames, outcomes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

from proxy.events.broker import amqp_confirms
from proxy.events.broker.amqp_confirms import AmqpConfirms, OutgoingMessage, _frames, _windows, persistent
from proxy.events.broker.amqp_link import AmqpDialer
from tests.support.rabbit import RabbitExchange, rabbit_exchange

bodies = st.binary(max_size=60)


@pytest.fixture
async def exchange() -> AsyncIterator[RabbitExchange]:
    async with rabbit_exchange() as found:
        yield found


def message(id_: str, body: bytes = b"x", exchange: str = "", key: str = "key") -> OutgoingMessage:
    return OutgoingMessage(exchange, key, persistent(id_, "type", "text/plain"), body)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9))), st.integers(1, 30))
def test_windows_keep_the_order_and_have_each_id_once(made: list[tuple[str, int]], most: int) -> None:
    messages = [message(id_, b"x" * size) for id_, size in made]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amqp_confirms, "WINDOW_BYTES", most)
        windows = list(_windows(messages))
    assert [each for window in windows for each in window] == messages
    for window in windows:
        assert len({each.id for each in window}) == len(window) > 0
        assert len(window) == 1 or sum(len(each.body) for each in window) <= most


@given(st.lists(st.tuples(bodies, st.sampled_from(["ai_usage", "key_created"])), max_size=5), st.integers(1, 20))
def test_frames_are_those_of_the_protocol(made: list[tuple[bytes, str]], most: int) -> None:
    messages = [message(f"m{index}", body, "e", key) for index, (body, key) in enumerate(made)]
    data, found = b"".join(_frames(messages, 7, most)), []
    while data:
        size, channel, frame = unmarshal(data)
        assert channel == 7
        data = data[size:]
        found.append(frame)
    for each in messages:
        publish, header = found.pop(0), found.pop(0)
        assert isinstance(publish, Basic.Publish)
        assert (publish.exchange, publish.routing_key, publish.mandatory) == ("e", each.key, True)
        assert isinstance(header, ContentHeader)
        assert (header.body_size, header.properties.message_id) == (len(each.body), each.id)
        body = b""
        while len(body) < len(each.body):
            part = found.pop(0)
            assert isinstance(part, ContentBody)
            assert len(part.value) <= most
            body += part.value
        assert body == each.body
    assert found == []


async def test_each_message_has_an_outcome_of_its_own(exchange: RabbitExchange) -> None:
    name = exchange.names.usage
    await exchange.call("queue_declare", name, arguments={"x-max-length": 3, "x-overflow": "reject-publish"})
    link = await AmqpDialer(exchange.settings(), "test").connect()
    confirms = AmqpConfirms(await link.channel(confirms=True), link)
    assert await confirms.send([]) == []
    messages = [message("a", key=name), message("b", key="nowhere"), message("c", key=name), message("a", key=name)]
    safe, returned, *others = await confirms.send(messages)
    assert (safe, others) == ("", ["", ""])
    assert returned.startswith("no queue gets 'nowhere' from the exchange '': bind one")
    assert await confirms.send([message("d", key=name)]) == ["a queue refused it: it is full, or has lost its leader"]
    assert await exchange.ids(name) == ["a", "c", "a"]
    assert confirms.open
    await link.close()
    assert not confirms.open
