"""A client: it asks, verifies what it is told, and gives its own account of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from tests.storm.traffic import KeyFields
from tests.storm.words import are_whole, is_whole, text_of
from tests.support.client import Answer, RawClient

Ending = Literal["whole", "refused", "told", "left", "lied to"]
WORDS = "provider's own words"


class Account(Struct, frozen=True):
    """``told``: in-band that the answer broke. ``lied to``: neither whole nor honestly anything else; ``why`` says it."""

    name: str
    ending: Ending
    status: int = 0
    attempts: int | None = None  # as the answer tells them, where it knows them all
    why: str = ""


class Caller:
    """One connection after the other to the gateway at ``port``."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._client: RawClient | None = None

    async def ask(self, wish: KeyFields) -> Account:
        if self._client is None:
            self._client = await RawClient(self._port).connect()
        client = self._client
        try:
            await client.request("POST", f"/v1/{wish.path}", headers=wish.headers, json=wish.body)
            answer = await self._answer(client, wish.leaves)
        except AssertionError as fault:
            self.close()
            return Account(wish.name, "lied to", why=f"the connection: {str(fault)[:300]}")
        if answer is None:
            self.close()
            return Account(wish.name, "left")
        if answer.header("connection") == "close":
            self.close()
        try:
            return _judged(wish, answer)
        except (AssertionError, ValueError, LookupError, TypeError) as fault:
            return Account(wish.name, "lied to", answer.status, why=f"{fault!r} {answer.body[-300:]!r}")

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


def _judged(wish: KeyFields, answer: Answer) -> Account:
    status = answer.status
    assert answer.header("x-request-id") == wish.name, "somebody else's answer"
    assert WORDS not in (answer.header("x-router-errors") or "")
    attempts = int(answer.header("x-router-attempts") or 0)
    if status >= 400:
        assert status not in (401, 402, 403), "our credential is not the client's affair"
        assert answer.json["error"]["message"]
        return Account(wish.name, "refused", status, attempts)
    assert status == 200
    if (answer.header("content-type") or "").startswith("text/event-stream"):
        assert wish.streams
        return _judged_stream(wish, answer)
    assert not wish.streams, "no stream"
    document = answer.json
    router = document["_router"]
    assert router["attempts"] == attempts
    assert WORDS not in json.dumps(router)
    assert len(router["errors"]) < attempts  # as many as failed; the one that lost a race did not
    _verify(wish, document)
    return Account(wish.name, "whole", status, attempts)


def _verify(wish: KeyFields, document: dict[str, Any]) -> None:
    match wish.path:
        case "embeddings":
            assert are_whole(document["data"][0]["embedding"], wish.name), "numbers are missing"
            return
        case "responses":
            text = document["output"][0]["content"][0]["text"]
        case "completions":
            text = document["choices"][0]["text"]
        case _:
            text = document["choices"][0]["message"]["content"]
    assert is_whole(text, wish.name), "text is missing"
    assert text == text_of(wish.name)


def _judged_stream(wish: KeyFields, answer: Answer) -> Account:
    text, ended, failed, done = "", False, False, False
    for data in _events(answer.body):
        if data == "[DONE]":
            done = True
            continue
        assert not done, "something after [DONE]"
        event = json.loads(data)
        if event.get("error") or event.get("type") in ("error", "response.failed"):
            failed = True
            assert not ended or wish.wants_usage, "an error after the end"
            continue
        assert not failed, "text after an error"
        said, finished = _said(event)
        text += said
        ended |= finished
    if failed:
        return Account(wish.name, "told", answer.status)
    assert ended, "cut off, and nobody said so"
    assert is_whole(text, wish.name), "text is missing"
    assert text == text_of(wish.name)
    if done and ("x-router-metadata", "true") in wish.headers:
        assert b": _router {" in answer.body
    for line in answer.body.split(b"\n"):
        assert not line.startswith(b": _router") or WORDS.encode() not in line
    return Account(wish.name, "whole", answer.status)


def _events(body: bytes) -> Iterator[str]:
    """The data of each event."""
    assert body.endswith(b"\n\n"), "half an event at the end"
    for block in body.decode().split("\n\n"):
        data = [line[6:] for line in block.split("\n") if line.startswith("data: ")]
        if data:
            yield "\n".join(data)


def _said(event: dict[str, Any]) -> tuple[str, bool]:
    """The text of an event, and whether the answer is over with it."""
    if "type" in event:
        delta = event["delta"] if event["type"] == "response.output_text.delta" else ""
        return delta, event["type"] == "response.completed"
    text, finished = "", False
    for choice in event["choices"]:
        text += choice.get("text") or choice.get("delta", {}).get("content") or ""
        finished |= bool(choice["finish_reason"])
    return text, finished
