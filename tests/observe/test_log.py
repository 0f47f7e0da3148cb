from __future__ import annotations

import asyncio
import io
import json
import math
import time
from datetime import datetime
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.usage import Usage
from proxy.identity import Client
from proxy.observe.log import TEXT, Level, Log
from proxy.observe.truncate import NAME
from tests.observe.exchanges import attempt_of, refused, settled

HOSTILE = "\n\r\x00\x0b\x0c\x1b\x7f\x85\x9b\u2028\u2029\u202a\u202e\u2066\u2069"  # end a line, or drive a terminal

NOON = 1_767_268_800.25  # 2026-01-01T12:00:00.250Z


class Written:
    """A log and what it wrote."""

    def __init__(self, level: Level = "debug", *, readable: bool = False) -> None:
        self.moment = NOON
        self.stream = io.BytesIO()
        self.log = Log(self.stream, level, readable=readable, now=lambda: self.moment)

    def text(self) -> str:
        self.log.flush()
        return self.stream.getvalue().decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().split("\n")[:-1]]


def test_an_exchange_is_one_json_line_with_every_field() -> None:
    written = Written()
    written.log.exchanges([settled(attempts=[attempt_of(100.0, 103.0)])])
    assert written.lines() == [
        {
            "time": "2026-01-01T12:00:00.250Z",
            "level": "info",
            "event": "exchange",
            "request_id": "req-1",
            "endpoint": "chat/completions",
            "model": "deepseek-r1",
            "provider": "openrouter",
            "upstream_model": "deepseek/deepseek-r1:free",
            "status": 200,
            "outcome": "ok",
            "error": "",
            "detail": "",
            "attempts": 1,
            "stream": True,
            "ttft_ms": 250.0,
            "duration_ms": 3000.0,
            "longest_gap_ms": 125.0,
            "tokens": {"input": 10, "cached": 20, "output": 30, "reasoning": None},
            "bytes_in": 300,
            "bytes_out": 5000,
            "client": "127.0.0.1",
        }
    ]


def test_what_a_call_is_accounted_to_is_logged() -> None:
    caller = Client("key:k", owner="alice", team="web", project="shop", labels=(("cost", "42"),))
    exchange = settled(caller=caller, run="r-1", added_labels=(("ticket", "ABC-1"),))
    written, readable = Written(), Written(readable=True)
    written.log.exchanges([exchange])
    readable.log.exchanges([exchange])
    [line] = written.lines()
    assert {name: line[name] for name in ("caller", "owner", "team", "project", "run", "labels")} == {
        "caller": "key:k",
        "owner": "alice",
        "team": "web",
        "project": "shop",
        "run": "r-1",
        "labels": {"cost": "42", "ticket": "ABC-1"},
    }
    assert "cost=42  ticket=ABC-1" in readable.text()


def test_a_line_says_what_the_cache_did_while_it_is_on() -> None:
    written, readable = Written(), Written(readable=True)
    ended = [settled(cache="hit", saved=12_500_000), settled(cache="miss"), settled()]
    written.log.exchanges(ended)
    readable.log.exchanges(ended)
    found = [{name: line[name] for name in ("cache", "saved_usd") if name in line} for line in written.lines()]
    assert found == [{"cache": "hit", "saved_usd": 0.0125}, {"cache": "miss"}, {}]
    assert [line.count("  cache hit  ") for line in readable.text().splitlines()] == [1, 0, 0]


def test_unknown_fields_are_null() -> None:
    written = Written()
    written.log.exchanges([refused("model_not_found", 404)])
    [line] = written.lines()
    assert [line["ttft_ms"], line["longest_gap_ms"], line["tokens"]] == [None, None, None]


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        ({"outcome": "ok"}, "info"),
        ({"outcome": "client_gone"}, "info"),
        ({"outcome": "error", "status": 400}, "info"),
        ({"outcome": "error", "status": 502}, "warning"),
        ({"outcome": "error", "status": 0}, "warning"),
        ({"outcome": "broken"}, "warning"),
        ({"outcome": "cancelled", "status": 503}, "warning"),
    ],
)
def test_the_level_distinguishes_gateway_and_provider_failures(facts: dict[str, Any], level: str) -> None:
    written = Written()
    written.log.exchanges([settled(**facts)])
    assert written.lines()[0]["level"] == level


def test_lines_below_the_level_are_not_written() -> None:
    written = Written("warning")
    written.log.exchanges([settled()])
    written.log.exchanges([settled(outcome="broken")])
    written.log.debug("a")
    written.log.info("b")
    written.log.warning("c")
    written.log.error("d")
    assert [line.get("message") for line in written.lines()] == [None, "c", "d"]


def test_timestamps_advance_within_and_beyond_a_second() -> None:
    written = Written()
    for moment in (NOON, NOON + 0.5, NOON + 59.75, 1_772_323_199.999):
        written.moment = moment
        written.log.info("tick")
    assert [line["time"] for line in written.lines()] == [
        "2026-01-01T12:00:00.250Z",
        "2026-01-01T12:00:00.750Z",
        "2026-01-01T12:01:00.000Z",
        "2026-02-28T23:59:59.999Z",
    ]


async def test_a_line_has_the_end_time_of_its_exchange() -> None:
    written = Written()
    loop = asyncio.get_running_loop()
    written.log.attach(loop)
    now = loop.time()
    written.log.exchanges([settled(ended=now - 1.5), settled(ended=now - 0.75)])
    stamps = [datetime.fromisoformat(line["time"]).timestamp() for line in written.lines()]
    assert stamps == pytest.approx([NOON - 1.5, NOON - 0.75], abs=0.25)


async def test_a_slow_loop_iteration_delays_no_timestamp() -> None:
    written = Written()
    loop = asyncio.get_running_loop()
    written.log.attach(loop)
    with mock.patch.object(loop, "time", return_value=time.monotonic() - 5.0):
        written.log.exchanges([settled(ended=time.monotonic() - 7.0)])
    with mock.patch.object(loop, "time", return_value=-1000.0):  # a clock that began elsewhere
        written.log.exchanges([settled(ended=-1001.0)])
    stamps = [datetime.fromisoformat(line["time"]).timestamp() for line in written.lines()]
    assert stamps == pytest.approx([NOON - 7.0, NOON - 1.0], abs=2.0)


def test_queued_exchanges_precede_other_lines_and_use_the_level_of_their_time() -> None:
    written = Written("info")
    waiting = [settled(request_id="waits")]

    def catch_up() -> None:
        ended = waiting.copy()
        waiting.clear()
        written.log.exchanges(ended)

    written.log.catch_up = catch_up
    written.log.warning("behind it")
    waiting.append(settled(request_id="too"))
    written.log.admit("warning")
    waiting.append(settled(request_id="not any more"))
    waiting.append(settled(request_id="last", outcome="broken"))
    assert [line.get("request_id", line.get("message")) for line in written.lines()] == [
        "waits",
        "behind it",
        "too",
        "last",
    ]


def test_each_exchange_is_one_line_even_beside_invalid_bytes() -> None:
    written = Written()
    written.log.exchanges([settled(request_id="a"), settled(request_id="b", model="\udce9"), settled(request_id="c")])
    assert [(line["request_id"], line["model"]) for line in written.lines()] == [
        ("a", "deepseek-r1"),
        ("b", "\\udce9"),
        ("c", "deepseek-r1"),
    ]


def test_fields_of_any_type_become_json() -> None:
    written = Written()
    fields: dict[str, Any] = {
        "count": 3,
        "huge": 2**80,
        "share": 0.5,
        "missing": None,
        "on": True,
        "names": ("a", "b"),
        "nested": {1: {"deep": b"bytes"}},
        "error": OSError(111, "Connection refused"),
        "infinite": math.inf,
    }
    written.log.warning("Something happened.", **fields)
    assert written.lines() == [
        {
            "time": "2026-01-01T12:00:00.250Z",
            "level": "warning",
            "event": "log",
            "message": "Something happened.",
            "count": 3,
            "huge": str(2**80),
            "share": 0.5,
            "missing": None,
            "on": True,
            "names": ["a", "b"],
            "nested": {"1": {"deep": "b'bytes'"}},
            "error": "[Errno 111] Connection refused",
            "infinite": None,
        }
    ]


def test_a_field_cannot_replace_a_standard_one() -> None:
    written = Written()
    written.log.info("true", event="exchange", level="error", time="never")
    [line] = written.lines()
    assert (line["event"], line["level"]) == ("log", "info")
    assert next(iter(line)) == "time"


@pytest.mark.parametrize("readable", [False, True])
def test_secrets_are_masked_everywhere(readable: bool) -> None:
    written = Written(readable=readable)
    written.log.hide(["sk-very-secret"])
    written.log.exchanges([settled(outcome="error", error_detail="401: key sk-very-secret is wrong")])
    written.log.error(
        "sk-very-secret",
        url="https://u:sk-very-secret@host/",
        deep=[{"sk-very-secret": OSError("sk-very-secret")}],
    )
    text = written.text()
    assert "very-secret" not in text
    assert text.count("***") == 5


def test_a_secret_at_a_truncation_leaves_no_part() -> None:
    written = Written()
    written.log.hide(["sk-very-secret"])
    written.log.exchanges([settled(outcome="error", error_detail="x" * (TEXT - 5) + "sk-very-secret")])
    assert "sk" not in written.lines()[0]["detail"]


@pytest.mark.parametrize("readable", [False, True])
def test_foreign_text_is_truncated(readable: bool) -> None:
    written = Written(readable=readable)
    long = "x" * 5_000_000
    written.log.exchanges(
        [settled(model=long, request_model=long, error=long, error_detail=long, outcome="error", status=400)]
    )
    written.log.warning(long, detail=long)
    assert len(written.text()) < 2 * (3 * TEXT + 3 * NAME + 1000)


@given(
    texts=st.tuples(*[st.text(st.sampled_from("\r\n") | st.characters(), max_size=20)] * 4),
    readable=st.booleans(),
)
def test_foreign_text_never_starts_a_new_line(texts: tuple[str, str, str, str], readable: bool) -> None:
    written = Written(readable=readable)
    model, detail, request_id, message = texts
    written.log.exchanges([settled(model=model, request_id=request_id, error_detail=detail)])
    written.log.warning(message, field=detail)
    text = written.text()
    assert text.count("\n") == 2
    assert text.endswith("\n")
    if readable:
        assert len(text.splitlines()) == 2
    else:
        first, second = written.lines()
        assert first["event"] == "exchange"
        assert second["event"] == "log"


@pytest.mark.parametrize("character", HOSTILE)
def test_terminal_control_characters_are_escaped(character: str) -> None:
    written = Written(readable=True)
    text = f"a{character}b"
    written.log.exchanges([settled(model=text, request_id=text)])
    written.log.info(text, name=text)
    assert character not in written.text().replace("\n", "", 2 if character == "\n" else 0)


def test_invalid_bytes_of_a_request_are_escaped() -> None:
    written = Written()
    written.log.exchanges([settled(model="caf\udce9", usage=Usage(output=1))])
    written.log.warning("caf\udce9", path="/\udcff")
    first, second = written.lines()
    assert first["model"] == "caf\\udce9"
    assert first["tokens"]["output"] == 1
    assert (second["message"], second["path"]) == ("caf\\udce9", "/\\udcff")


def test_the_readable_format_summarizes_an_exchange() -> None:
    written = Written(readable=True)
    written.log.exchanges([settled()])
    written.log.exchanges(
        [
            settled(
                outcome="broken",
                error="timeout_idle",
                error_detail="peer 10.0.0.1",
                attempts=[attempt_of(100.0, 101.0), attempt_of(101.0, 103.0)],
                usage=Usage(input=1),
            )
        ]
    )
    written.log.exchanges([refused("model_not_found", 404)])
    assert written.text().splitlines() == [
        "2026-01-01T12:00:00.250Z info    200 ok chat/completions  "
        "deepseek-r1 -> openrouter/deepseek/deepseek-r1:free  first token 250 ms  3000 ms  "
        "30 + 30 tokens  req-1",
        "2026-01-01T12:00:00.250Z warning 200 broken chat/completions  "
        "deepseek-r1 -> openrouter/deepseek/deepseek-r1:free  2 attempts  first token 250 ms  3000 ms  "
        "1 + ? tokens  req-1  timeout_idle  peer 10.0.0.1",
        "2026-01-01T12:00:00.250Z info    404 error chat/completions  deepseek-r1 -> -/-  3000 ms  req-1  "
        "model_not_found",
    ]


def test_the_readable_format_shows_fields_and_escapes_control_characters() -> None:
    written = Written(readable=True)
    written.log.info("Listening.", address="127.0.0.1:8080", name="a\x1b[31m\r\nb")
    assert written.text() == (
        "2026-01-01T12:00:00.250Z info    Listening.  address=127.0.0.1:8080  name=a\\x1b[31m\\r\\nb\n"
    )


@pytest.mark.parametrize("readable", [False, True])
def test_lost_lines_are_reported_in_the_same_format(readable: bool) -> None:
    written = Written(readable=readable)
    for _ in range(3):
        written.log._sink._dropped += 1
    assert "Log lines were lost" in written.text()
    assert "3" in written.text().rstrip("}\n")[-1]
