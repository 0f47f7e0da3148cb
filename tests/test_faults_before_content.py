"""Faults of a stream before its content commit, and all faults under ``hold``: a complete response or an error.

With and without ``contextSize``: a known size must not change the next candidate.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    Reset,
    Send,
    Stall,
    chat_events,
    error_json,
    json_answer,
    sse,
)
from tests.support.answers import DONE, SSE_HEADERS
from tests.support.candidates import candidates
from tests.support.lives import live
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
CALL = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
ROLE, HELLO, WORLD, STOP, _ = EVENTS = chat_events("Hello", " world")
WHOLE = b"".join(EVENTS)
GARBAGE = b"data: <html>502 Bad Gateway</html>\n\n"

Script = list[Step | bytes]


def begun(*events: bytes) -> Script:
    return [Headers(200, SSE_HEADERS), *map(Chunk, events)]


BEFORE: dict[str, Script] = {
    "garbage first": [*begun(GARBAGE, *EVENTS), LastChunk()],
    "garbage after the role": [*begun(ROLE, GARBAGE, *EVENTS[1:]), LastChunk()],
    "garbage in one read with the role": [*begun(ROLE + GARBAGE + WHOLE), LastChunk()],
    "half an event": [*begun(ROLE, HELLO[:30]), LastChunk()],
    "half an event and a close": [*begun(ROLE, HELLO[:30]), Close()],
    "an error event": [*begun(ROLE, sse(error_json("Broken on purpose", code="c"))), LastChunk()],
    "an error outside of any event": [*begun(b'{"error": {"message": "Broken on purpose", "code": "c"}}'), LastChunk()],
    "a reset": [*begun(ROLE), Reset()],
    "no chunk": [*begun(ROLE), Send(b"zz\r\n")],
    "nothing": [*begun(), LastChunk()],
    "only the end": [*begun(DONE), LastChunk()],
    "silence": [*begun(ROLE), Stall()],
    "a 500": json_answer(error_json("Broken on purpose"), 500),
}
AFTER: dict[str, Script] = {
    "garbage": [*begun(ROLE, HELLO, GARBAGE, WORLD, STOP, DONE), LastChunk()],
    "garbage in one read with content": [*begun(ROLE + HELLO + GARBAGE + WORLD + STOP + DONE), LastChunk()],
    "garbage after the finish reason": [*begun(ROLE, HELLO, STOP, GARBAGE, DONE), LastChunk()],
    "half an event after content": [*begun(ROLE, HELLO, WORLD[:30]), LastChunk()],
    "an error event after content": [*begun(ROLE, HELLO, sse(error_json("Broken on purpose", code="c"))), LastChunk()],
    "a bare error after content": [*begun(ROLE, HELLO, b'{"error": "Broken on purpose"}\n\n'), LastChunk()],
    "a close after content": [*begun(ROLE, HELLO), Close()],
    "silence after content": [*begun(ROLE, HELLO), Stall()],
}
SIZES = pytest.mark.parametrize("size", [None, 8000], ids=["no contextSize", "contextSize"])
RECOVERIES = [("fail", script) for script in BEFORE.values()] + [("hold", each) for each in (BEFORE | AFTER).values()]
NAMES = [f"fail, {name}" for name in BEFORE] + [f"hold, {name}" for name in BEFORE | AFTER]
CASES = pytest.mark.parametrize(("recovery", "script"), RECOVERIES, ids=NAMES)


def cast(names: str, recovery: str, size: int | None, script: Script) -> Any:
    model = {} if size is None else {"contextSize": size}
    # The others may take their time: what they end with is not to be the clock.
    clocks = {"firstContent": 0.3, "idle": 0.3} if Stall() in script else {}
    return candidates(names, model=model, routing={"streamRecovery": recovery, "maxRetries": 3}, timeouts=clocks)


@SIZES
@CASES
async def test_another_candidate_gives_a_complete_response(recovery: str, script: Script, size: int | None) -> None:
    async with cast("ab", recovery, size, script) as (gw, ups, _):
        ups[0].queue(script)
        ups[1].queue([*begun(*EVENTS), LastChunk()])
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL | {"model": ["a", "b"]})
        events = [event + b"\n\n" for event in answer.body.split(b"\n\n")[:-1]]
        assert b"".join(event for event in events if not event.startswith(b":")) == WHOLE
        line = await gw.settled()
        assert (line["outcome"], line["status"], line["attempts"], line["provider"]) == ("ok", 200, 2, "b")
        assert [live(gw, label).breaker.failures for label in ("a/a", "b/b")] == [1, 0]


@SIZES
@CASES
async def test_without_another_candidate_the_client_gets_the_error(
    recovery: str, script: Script, size: int | None
) -> None:
    async with cast("a", recovery, size, script) as (gw, ups, _):
        ups[0].on(lambda request: script)
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL | {"model": "a"})
        assert answer.status in (500, 502, 504)
        assert answer.json["error"]["code"]
        line = await gw.settled()
        assert (line["outcome"], line["status"]) == ("error", answer.status)
