from __future__ import annotations

import asyncio
import gc
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from proxy.observe.bridge import Bridge, install, place
from tests.observe.test_log import Written


@pytest.fixture
def written() -> Iterator[Written]:
    written = Written()
    undo = install(written.log)
    yield written
    undo()


def broken() -> None:
    raise ValueError("sent: Authorization: Bearer sk-client")


def test_a_warning_is_logged_in_our_format(written: Written) -> None:
    logging.getLogger("aiohttp.server").warning("Could not do %s in %d tries", "it", 3)
    [line] = written.lines()
    assert line["level"] == "warning"
    assert line["logger"] == "aiohttp.server"
    assert line["message"] == "Could not do it in 3 tries"


def test_lines_below_warning_are_not_logged(written: Written) -> None:
    logging.getLogger("asyncio").info("Using selector")
    logging.getLogger("asyncio").debug("Using selector")
    assert written.lines() == []


def test_only_type_and_place_of_an_exception_are_logged(written: Written) -> None:
    try:
        broken()
    except ValueError as error:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "127.0.0.1")
        logging.getLogger("x").error("Failed: %s", error)
        logging.getLogger("x").error(error)
    first, second, third = written.lines()
    assert first["level"] == "error"
    assert first["exception"].startswith("ValueError at observe/test_bridge.py:")
    assert "in broken" in first["exception"]
    assert second["message"] == "Failed: <ValueError>"
    assert third["message"] == "<ValueError>"
    assert "sk-client" not in written.text()


def test_objects_are_logged_by_type(written: Written) -> None:
    logging.getLogger("x").warning("%s %r %.1f %s", b"request bytes", {"a": "b"}, 1.25, None)
    assert written.lines()[0]["message"] == "<bytes> '<dict>' 1.2 None"


@pytest.mark.parametrize("arguments", [("one", "two"), ({"other": 1},), (3,)])
def test_a_template_with_wrong_arguments_is_logged_unformatted(written: Written, arguments: tuple[Any, ...]) -> None:
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "%(name)s", arguments, None)
    Bridge(written.log).emit(record)
    assert written.lines()[0]["message"] == "%(name)s"


def test_secrets_are_masked(written: Written) -> None:
    written.log.hide(["sk-very-secret"])
    logging.getLogger("x").warning("with %s", "sk-very-secret")
    assert written.lines()[0]["message"] == "with ***"


def test_python_warnings_are_logged(written: Written) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("this is old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "DeprecationWarning: this is old" in written.lines()[0]["message"]


async def test_an_unretrieved_task_exception_is_logged_without_its_text(written: Written) -> None:
    async def fails() -> None:
        broken()

    task = asyncio.get_running_loop().create_task(fails())
    await asyncio.wait([task])
    del task
    gc.collect()
    [line] = written.lines()
    assert line["message"] == "Task exception was never retrieved"
    assert "in broken" in line["exception"]
    assert "sk-client" not in json.dumps(line)


async def test_a_malformed_request_leaves_none_of_its_bytes_in_the_log(written: Written) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nBad Header sk-client\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()
    assert answer.startswith(b"HTTP/1.0 400")
    text = written.text()
    assert "Error handling request" in text
    assert "sk-client" not in text


def test_uninstalling_restores_the_previous_handlers() -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    install(Written().log)()
    assert (root.handlers, root.level) == before


def test_the_place_of_an_exception_starts_where_it_was_raised() -> None:
    try:
        broken()
    except ValueError as error:
        first, second = place(error).split(" at ")[1:]
    assert first.endswith("in broken")
    assert second.endswith("in test_the_place_of_an_exception_starts_where_it_was_raised")


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert place(ValueError("x")) == "ValueError"
