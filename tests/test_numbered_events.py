"""Events with an ``id``, and the comments between them, as both major versions of the openai package read them.

The package keeps the last id, and takes any blank line after it for the end of an event. A comment with a blank line
of its own then is an event without data to it, and it raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Chunk, Headers, LastChunk, Upstream, Wait, chat_events, until
from tests.support.answers import DONE, SSE_HEADERS
from tests.support.gateway import Gateway, one_provider
from tests.support.packages import Package, openai_1
from tests.support.steps import Step

READER = Path(__file__).parent / "support" / "openai_reader.py"
ROLE, HELLO, WORLD, STOP, _ = chat_events("Hello", " world")
WHOLE = {"text": "Hello world", "finish": "stop", "error": None}


def numbered(*events: bytes) -> list[bytes]:
    return [b"id: %d\n%b" % (number, event) for number, event in enumerate(events, 1)]


IDS = numbered(ROLE, HELLO, WORLD, STOP)
CRLF = [event.replace(b"\n", b"\r\n") for event in IDS]


@pytest.fixture(autouse=True)
def _quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0.05)


@pytest.fixture(params=["1", "3"], scope="module")
def package(request: pytest.FixtureRequest) -> Iterator[Package]:
    package = Package(request.param, READER, openai_1() if request.param == "1" else None)
    yield package
    package.close()


SCRIPTS: dict[str, tuple[list[bytes], list[bytes]]] = {  # before and after some pings
    "between events": (IDS[:2], [*IDS[2:], DONE]),
    "before the end": (IDS, [DONE]),
    "within an event": ([*IDS[:2], IDS[2][:20]], [IDS[2][20:], IDS[3], DONE]),
    "within a CR LF": ([*CRLF[:2], CRLF[2][:-1]], [CRLF[2][-1:], CRLF[3], DONE]),
    "among comments and blank lines": (
        [*IDS[:2], b": wait\n\n", b"\n"],
        [b": wait\r\n\r\n\r\n", *IDS[2:], b"\n", DONE],
    ),
    "without ids": ([ROLE, HELLO], [b": wait\n\n", WORLD, STOP, DONE]),
}


@pytest.mark.parametrize(("before", "after"), SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_the_package_reads_a_stream_with_pings_whether_or_not_its_events_have_ids(
    package: Package, before: list[bytes], after: list[bytes]
) -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(one_provider(up, server={"pingAfter": 0.01})) as gw:
        steps: list[Step | bytes] = [Headers(200, SSE_HEADERS), *map(Chunk, before), Wait(go), *map(Chunk, after)]
        up.queue([*steps, LastChunk()])
        reading = asyncio.create_task(package.read(f"{gw.url}/v1", **{"x-router-metadata": "true"}))
        await until(lambda: gw.bytes_sent > len(b"".join(before)) + 20, "some pings to be sent")
        go.set()
        assert await reading == WHOLE
        assert (await gw.settled())["outcome"] == "ok"


async def test_the_package_raises_at_a_comment_with_a_blank_line_of_its_own(package: Package) -> None:
    """Why it must not have one: should this fail one day, the rule of ``relay/seams.py`` can go."""
    async with Upstream() as up:
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, [*IDS[:2], b": ping\n\n", *IDS[2:], DONE]), LastChunk()])
        assert (await package.read(f"{up.url}/v1"))["error"] == "JSONDecodeError"
