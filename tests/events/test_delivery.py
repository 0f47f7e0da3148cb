"""One webhook against a real scripted receiver."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping

from proxy.events.backoff import GIVE_UP_SECS
from proxy.events.delivery import MOST_WAITING, WebhookDelivery
from proxy.events.sender import NoAnswer, WebhookAnswer
from tests.events.tools import SECRET, Tools, numbers, signature, webhook
from tests.support import Reset, Stall, Upstream, Wait, json_answer, until, within


async def test_an_event_arrives_as_a_signed_cloudevent() -> None:
    tools = Tools()
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}))
        delivery = WebhookDelivery(webhook(receiver.origin + "/hook", secret=SECRET), tools.real)
        event = tools.event(7)
        delivery.offer(event)
        request = await receiver.request(0)
        await until(lambda: tools.outcomes == ["delivered"], "the answer")
    assert request.header("content-type") == "application/cloudevents+json"
    assert request.header("webhook-id") == event.id == request.json["id"]
    timestamp = request.header("webhook-timestamp") or ""
    assert int(timestamp) == int(tools.clock.wall())
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    assert request.header("webhook-signature") == signature(event.id, timestamp, bytes(request.body), key)
    assert request.json["data"] == {"number": 7}


async def test_a_failed_event_is_sent_again_with_a_new_timestamp_before_those_after_it() -> None:
    tools = Tools()
    async with Upstream() as receiver:
        receiver.queue(json_answer({}, 500), [Reset()], [Stall()], json_answer({}, 302), json_answer({}, 404))
        receiver.on(lambda request: json_answer({}))
        delivery = WebhookDelivery(webhook(receiver.origin, secret=SECRET), tools.real)
        for number in range(3):
            delivery.offer(tools.event(number))
        await until(lambda: tools.outcomes.count("delivered") == 3, "all events")
        assert numbers(receiver.requests) == [0, 0, 0, 0, 0, 0, 1, 2]
        assert len({request.header("webhook-id") for request in receiver.requests[:6]}) == 1
        stamps = [int(request.header("webhook-timestamp") or 0) for request in receiver.requests[:6]]
        assert stamps == sorted(stamps)
        assert stamps[0] < stamps[-1]
        assert len({request.header("webhook-signature") for request in receiver.requests[:6]}) > 1
    assert tools.outcomes == ["failed"] * 5 + ["delivered"] * 3
    assert [message for message, _ in tools.log] == [
        "A webhook takes no events; they are sent again.",
        "A webhook takes events again.",
    ]
    assert tools.clock.slept == sorted(tools.clock.slept)


async def test_retry_after_is_waited_for() -> None:
    tools = Tools()
    async with Upstream() as receiver:
        receiver.queue(json_answer({}, 429, [("Retry-After", "77")]))
        receiver.on(lambda request: json_answer({}))
        delivery = WebhookDelivery(webhook(receiver.origin), tools.real)
        delivery.offer(tools.event(0))
        await until(lambda: "delivered" in tools.outcomes, "the second try")
    assert tools.clock.slept == [77.0]


async def test_an_event_is_dropped_after_an_hour_and_those_after_it_are_tried() -> None:
    tools = Tools()
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}, 500 if request.json["data"]["number"] == 0 else 200))
        delivery = WebhookDelivery(webhook(receiver.origin), tools.real)
        delivery.offer(tools.event(0))
        await until(lambda: "dropped" in tools.outcomes, "the end of its hour")
        assert sum(tools.clock.slept) > GIVE_UP_SECS
        delivery.offer(tools.event(1))
        await until(lambda: "delivered" in tools.outcomes, "the next event")
        assert 15 < receiver.requests.__len__() < 30
    assert [fields.get("dropped") for _, fields in tools.log][-1] == 1


async def test_gone_ends_the_webhook() -> None:
    tools = Tools()
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}, 410))
        delivery = WebhookDelivery(webhook(receiver.origin), tools.real)
        for number in range(3):
            delivery.offer(tools.event(number))
        await until(lambda: tools.outcomes.count("dropped") == 3, "the end of the webhook")
        delivery.offer(tools.event(3))
        assert (len(receiver.requests), tools.outcomes.count("dropped")) == (1, 4)
    assert tools.log[0][0] == "A webhook answered 410 Gone. It gets no more events."


async def test_only_the_types_that_a_webhook_wants_are_sent() -> None:
    tools = Tools()
    delivery = WebhookDelivery(webhook("http://127.0.0.1:1", types=["another"]), tools.real)
    delivery.offer(tools.event(0))
    assert len(delivery) == 0


async def test_the_queue_is_bounded() -> None:
    answer = asyncio.get_running_loop().create_future()

    async def send(url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        await answer
        return WebhookAnswer(200, None)

    tools = Tools(send)
    delivery = WebhookDelivery(webhook("http://receiver.test"), tools.real)
    for number in range(MOST_WAITING + 5):
        delivery.offer(tools.event(number))
    assert (len(delivery), tools.outcomes) == (MOST_WAITING, ["dropped"] * 5)
    assert len(tools.log) == 1  # not one line for each
    answer.set_result(None)
    await until(lambda: not len(delivery), "the queue to be sent")
    assert tools.outcomes.count("delivered") == MOST_WAITING


async def test_closing_sends_what_waits_for_the_end_of_a_pause() -> None:
    tools = Tools(pauses=True)
    async with Upstream() as receiver:
        receiver.queue(json_answer({}, 500))
        receiver.on(lambda request: json_answer({}))
        delivery = WebhookDelivery(webhook(receiver.origin), tools.real)
        for number in range(3):
            delivery.offer(tools.event(number))
        await until(lambda: tools.outcomes == ["failed"], "the pause")
        await delivery.close(30)
        assert numbers(receiver.requests) == [0, 0, 1, 2]
    assert tools.outcomes == ["failed", *["delivered"] * 3]
    delivery.offer(tools.event(3))
    assert tools.outcomes[-1] == "dropped"


async def test_closing_waits_for_an_answer_and_sends_no_event_twice() -> None:
    tools, answer = Tools(), asyncio.Event()
    async with Upstream() as receiver:
        receiver.queue([Wait(answer), *json_answer({})])
        delivery = WebhookDelivery(webhook(receiver.origin), tools.real)
        delivery.offer(tools.event(0))
        await receiver.request(0)
        closing = asyncio.ensure_future(delivery.close(30))
        await asyncio.sleep(0)
        answer.set()
        await within(closing, "the end")
        assert len(receiver.requests) == 1
    assert tools.outcomes == ["delivered"]


async def test_closing_gives_up_at_the_first_failure_and_counts_what_is_lost() -> None:
    async def send(url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        raise NoAnswer("no")

    tools = Tools(send)
    delivery = WebhookDelivery(webhook("http://receiver.test"), tools.real)
    for number in range(3):
        delivery.offer(tools.event(number))
    await delivery.close(30)
    assert tools.outcomes == ["failed", *["dropped"] * 3]


async def test_closing_is_bounded_in_time() -> None:
    tools = Tools()
    async with Upstream() as receiver:
        receiver.on(lambda request: [Stall()])
        delivery = WebhookDelivery(webhook(receiver.origin), tools.real)
        delivery.offer(tools.event(0))
        await delivery.close(0)
    assert tools.outcomes == ["dropped"]
