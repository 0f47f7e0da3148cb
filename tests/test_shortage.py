"""Exhausted resources of this machine: a 503, no breaker sample and no failover."""

from __future__ import annotations

import os
import resource
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from proxy.net.shortage import shortage
from tests.support import Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider

ASK = {"model": ["m", "n"], "messages": []}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@contextmanager
def no_descriptor() -> Iterator[None]:
    """This process can open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def source(up: Upstream, host: str) -> dict[str, Any]:
    found = one_provider(
        up,
        provider={"baseUrl": up.url.replace("127.0.0.1", host)},
        routing={"maxRetries": 3, "fallback": {"provider": "up", "model": "spare"}},
        circuitBreaker={"failureThreshold": 1},
    )
    found["models"] += [{"name": name, "provider": "up"} for name in ("n", "spare")]
    return found


async def assert_ours(gw: Gateway, answer: Any, word: str, attempts: int) -> None:
    error = answer.json["error"]
    assert (answer.status, error["code"], error["type"]) == (503, "insufficient_resources", "overloaded_error")
    assert word in error["message"]
    assert answer.header("Retry-After") == "1"
    line = await gw.settled(1)
    assert (line["error"], line.get("attempts", 0)) == ("insufficient_resources", attempts)
    breakers = [each.live.breaker for each in gw.app.gateway.catalog.deployments]  # type: ignore[union-attr]
    assert all(breaker.admits("chat/completions", 0.0) for breaker in breakers)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_descriptor_exhaustion_is_our_fault_not_the_providers(host: str) -> None:
    async with Upstream() as up, Gateway(source(up, host)) as gw:
        up.on(lambda request: json_answer(completion()))
        client = await gw.client()
        await client.fetch("GET", "/health/live")  # the connection is accepted
        with no_descriptor():
            answer = await client.fetch("POST", "/v1/chat/completions", json=ASK)
        await assert_ours(gw, answer, "file descriptors", 1)
        assert (await client.fetch("POST", "/v1/chat/completions", json=ASK)).status == 200


def form() -> bytes:
    """A form larger than the memory spool, before the model is known."""
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(3 << 20)
    return file + b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'


def full_disk(**arguments: Any) -> Any:
    return open("/dev/full", "w+b")


@pytest.mark.parametrize("how", ["full", "nowhere"])
async def test_a_full_disk_is_our_fault(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Upstream() as up, Gateway(source(up, "127.0.0.1")) as gw:
        up.on(lambda request: json_answer({"text": "hi"}))
        client = await gw.client()
        headers = list(FORM.items())
        with monkeypatch.context() as patched:
            if how == "full":
                patched.setattr(tempfile, "TemporaryFile", full_disk)
            else:
                patched.setattr(tempfile, "tempdir", "/nowhere")
            answer = await client.fetch("POST", "/v1/audio/transcriptions", body=form(), headers=headers)
        assert up.requests == []
        await assert_ours(gw, answer, "disk", 0)
        client = await gw.client()
        assert (await client.fetch("POST", "/v1/audio/transcriptions", body=form(), headers=headers)).status == 200


def test_other_failures_are_not_a_shortage() -> None:
    others: tuple[Exception, ...] = (
        ConnectionRefusedError(111, "refused"),
        socket.gaierror(socket.EAI_NONAME, "unknown"),
        OSError("Multiple exceptions: a, b"),
        RuntimeError("anything else"),
        ValueError("no address"),
    )
    for cause in others:
        assert shortage(cause, "there") is None
    for cause in (MemoryError(), RuntimeError("can't start new thread"), OSError(12, "memory"), OSError(28, "disk")):
        found = shortage(cause, "there:1")
        assert found is not None
        assert (found.status, found.code) == (503, "insufficient_resources")
        assert found.detail.startswith("there:1: ")
