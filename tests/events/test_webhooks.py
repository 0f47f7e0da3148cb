from __future__ import annotations

from proxy.events.webhooks import Webhooks
from tests.events.tools import Tools, numbers, webhook
from tests.support import Stall, Upstream, json_answer, until


async def test_a_webhook_that_fails_delays_no_other() -> None:
    tools = Tools()
    async with Upstream() as broken, Upstream() as receiver:
        broken.on(lambda request: [Stall()])
        receiver.on(lambda request: json_answer({}))
        webhooks = Webhooks([webhook(broken.origin), webhook(receiver.origin)], tools.real)
        for number in range(3):
            webhooks.offer(tools.event(number))
        await until(lambda: len(receiver.requests) == 3, "all events")
        assert numbers(receiver.requests) == [0, 1, 2]
        assert len(broken.requests) == 1
        broken.on(lambda request: json_answer({}))
        await webhooks.close()


async def test_a_reload_keeps_the_queue_of_an_unchanged_webhook_and_ends_others() -> None:
    tools = Tools(pauses=True)
    async with Upstream() as kept, Upstream() as left, Upstream() as added:
        for receiver in (kept, left):
            receiver.queue(json_answer({}, 500))
        for receiver in (kept, left, added):
            receiver.on(lambda request: json_answer({}))
        webhooks = Webhooks([webhook(left.origin), webhook(kept.origin)], tools.real)
        webhooks.offer(tools.event(0))
        await until(lambda: tools.outcomes == ["failed"] * 2, "two pauses")
        webhooks.adopt([webhook(added.origin), webhook(kept.origin)])
        webhooks.offer(tools.event(1))
        await until(lambda: tools.outcomes.count("delivered") == 2, "what needs no pause to end")
        assert (numbers(kept.requests), numbers(left.requests), numbers(added.requests)) == ([0], [0, 0], [1])
        await webhooks.close()
        assert (numbers(kept.requests), numbers(left.requests), numbers(added.requests)) == ([0, 0, 1], [0, 0], [1])


async def test_without_webhooks_nothing_happens() -> None:
    webhooks = Webhooks([], Tools().real)
    webhooks.offer(Tools().event(0))
    await webhooks.close()
