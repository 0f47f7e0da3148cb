"""A client that sends requests, validates the responses and records the outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from tests.storm.traffic import PlannedRequest
from tests.storm.words import are_whole, is_whole, text_of
from tests.support.client import Answer, RawClient

Ending = Literal["complete", "rejected", "in-band error", "disconnected", "invalid"]
WORDS = "provider's own words"


class Account(Struct, frozen=True):
    """The outcome that a client saw.

    ``invalid``: an incomplete or wrong response; ``why`` is the reason. ``after_end``: an error followed a whole answer.
    """

    name: str
    ending: Ending
    status: int = 0
    attempts: int | None = None  # from the response header, if it is final
    why: str = ""
    after_end: bool = False


class Caller:
    """A client of the gateway at ``port`` with one connection at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._client: RawClient | None = None

    async def send(self, planned: PlannedRequest) -> Account:
        if self._client is None:
            self._client = await RawClient(self._port).connect()
        client = self._client
        try:
            await client.request("POST", f"/v1/{planned.path}", headers=planned.headers, json=planned.body)
            answer = await self._answer(client, planned.leaves)
        except AssertionError as fault:
            self.close()
            return Account(planned.name, "invalid", why=f"the connection: {str(fault)[:300]}")
        if answer is None:
            self.close()
            return Account(planned.name, "disconnected")
        if answer.header("connection") == "close":
            self.close()
        try:
            return _checked(planned, answer)
        except (AssertionError, ValueError, LookupError, TypeError) as fault:
            return Account(planned.name, "invalid", answer.status, why=f"{fault!r} {answer.body[-300:]!r}")

    async def _answer(self, client: RawClient, leaves: float | None) -> Answer | None:
        if leaves is None:
            return await client.read_answer()
        reading = asyncio.ensure_future(client.read_answer())
        await asyncio.wait((reading,), timeout=leaves)
        if reading.done():
            return reading.result()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _checked(planned: PlannedRequest, answer: Answer) -> Account:
    status = answer.status
    assert answer.header("x-request-id") == planned.name, "response to another request"
    assert WORDS not in (answer.header("x-router-errors") or "")
    attempts = int(answer.header("x-router-attempts") or 0)
    if status >= 400:
        assert status not in (401, 402, 403), "a provider's credential error reached the client"
        assert answer.json["error"]["message"]
        return Account(planned.name, "rejected", status, attempts)
    assert status == 200
    if (answer.header("content-type") or "").startswith("text/event-stream"):
        assert planned.streams
        return _checked_stream(planned, answer)
    assert not planned.streams, "not a stream"
    document = answer.json
    router = document["_router"]
    assert router["attempts"] == attempts
    assert WORDS not in json.dumps(router)
    assert len(router["errors"]) < attempts  # failed attempts only; a canceled hedge is not listed
    _verify(planned, document)
    return Account(planned.name, "complete", status, attempts)


def _verify(planned: PlannedRequest, document: dict[str, Any]) -> None:
    match planned.path:
        case "embeddings":
            assert are_whole(document["data"][0]["embedding"], planned.name), "numbers are missing"
            return
        case "responses":
            text = document["output"][0]["content"][0]["text"]
        case "completions":
            text = document["choices"][0]["text"]
        case _:
            text = document["choices"][0]["message"]["content"]
    assert is_whole(text, planned.name), "text is missing"
    assert text == text_of(planned.name)


def _checked_stream(planned: PlannedRequest, answer: Answer) -> Account:
    text, ended, failed, done = "", False, False, False
    for data in _events(answer.body):
        if data == "[DONE]":
            done = True
            continue
        assert not done, "something after [DONE]"
        event = json.loads(data)
        if event.get("error") or event.get("type") in ("error", "response.failed"):
            failed = True
            continue
        assert not failed, "text after an error"
        delta_text, finished = _text_of_event(event)
        text += delta_text
        ended |= finished
    if failed:
        return Account(planned.name, "in-band error", answer.status, after_end=ended and not planned.wants_usage)
    assert ended, "truncated without an error event"
    assert is_whole(text, planned.name), "text is missing"
    assert text == text_of(planned.name)
    if done and ("x-router-metadata", "true") in planned.headers:
        assert b": _router {" in answer.body
    for line in answer.body.split(b"\n"):
        assert not line.startswith(b": _router") or WORDS.encode() not in line
    return Account(planned.name, "complete", answer.status)


def _events(body: bytes) -> Iterator[str]:
    """Iterate over the data of each event."""
    assert body.endswith(b"\n\n"), "incomplete last event"
    for block in body.decode().split("\n\n"):
        data = [line[6:] for line in block.split("\n") if line.startswith("data: ")]
        if data:
            yield "\n".join(data)


def _text_of_event(event: dict[str, Any]) -> tuple[str, bool]:
    """Return the text of an event, and whether it finishes the response."""
    if "type" in event:
        delta = event["delta"] if event["type"] == "response.output_text.delta" else ""
        return delta, event["type"] == "response.completed"
    text, finished = "", False
    for choice in event["choices"]:
        text += choice.get("text") or choice.get("delta", {}).get("content") or ""
        finished |= bool(choice["finish_reason"])
    return text, finished
