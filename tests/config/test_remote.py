"""Fetching a list over real sockets, and its copy on disk."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest

from proxy.config import remote
from proxy.config.remote import Copy, FetchFailed, fetch
from tests.support import Close, Stall, Upstream
from tests.support.upstream import Request

URL = "https://models.example.org/list.yaml?token=secret"


def answer(body: bytes, status: str = "200 OK", *lines: str) -> list[bytes]:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines, "", ""])
    return [head.encode(), body]


async def failure(url: str) -> str:
    with pytest.raises(FetchFailed) as caught:
        await fetch(url, {})
    return str(caught.value)


async def test_the_list_is_fetched_with_its_query_and_without_credentials() -> None:
    async with Upstream() as up:
        up.on(lambda request: answer(b"models: []\n"))
        assert await fetch(f"{up.url}/list%20.yaml?a=%2F&b", {}) == b"models: []\n"
        request = await up.request(0)
        assert request.target.endswith("/list%20.yaml?a=%2F&b")
        assert request.header("authorization") is None
        assert request.header("accept-encoding") == "identity"


async def test_an_unrequested_compressed_list_is_read() -> None:
    async with Upstream() as up:
        up.on(lambda request: answer(gzip.compress(b"models: []"), "200 OK", "Content-Encoding: gzip"))
        assert await fetch(up.url, {}) == b"models: []"


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_an_oversized_list_is_rejected(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_BYTES", 1024 * 1024)
    body = b" " * (1024 * 1024 + 1)
    sent = body if coding == "identity" else gzip.compress(body)
    async with Upstream() as up:
        up.on(lambda request: answer(sent, "200 OK", f"Content-Encoding: {coding}"))
        assert await failure(up.url) == "is larger than 1 MB"


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "204 No Content", "304 Not Modified"])
async def test_any_other_status_is_a_failure(status: str) -> None:
    async with Upstream() as up:
        up.on(lambda request: [f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()])
        assert await failure(up.url) == f"answers with status {status[:3]}"


async def test_redirects_are_followed_within_the_scheme() -> None:
    def play(request: Request) -> list[bytes]:
        if request.target.endswith("/new"):
            return answer(b"found")
        return answer(b"", "302 Found", "Location: new")

    async with Upstream() as up:
        up.on(play)
        assert await fetch(f"{up.url}/old", {}) == b"found"


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("https://127.0.0.1/x", "redirects from http to https"),
        ("file:///etc/passwd", "redirects from http to file"),
        ("/again", "redirects more than 5 times"),
    ],
)
async def test_other_redirects_are_not_followed(location: str, why: str) -> None:
    async with Upstream() as up:
        up.on(lambda request: answer(b"", "302 Found", f"Location: {location}"))
        assert await failure(up.url) == why


async def test_fetch_errors_do_not_repeat_the_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT_SECS", 0.05)
    async with Upstream() as up:
        up.on(lambda request: [Stall()])
        assert await failure(f"{up.url}/?secret") == "did not complete within 0.05 s"
    monkeypatch.undo()
    async with Upstream() as up:
        up.on(lambda request: [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nmo", Close()])
        assert await failure(f"{up.url}/?secret") == "cannot be fetched: ClientPayloadError"
    assert (await failure(f"{up.url}/?secret")).startswith("cannot be reached: ")


def test_the_cached_copy_is_private_and_replaced_atomically(tmp_path: Path) -> None:
    copy = Copy(URL, {"XDG_CACHE_HOME": str(tmp_path / "c")})
    assert copy.read() is None
    assert copy.write(b"one") == copy.write(b"two") == ""
    assert copy.read() == b"two"
    assert copy.path is not None
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.path.parent.stat().st_mode) == 0o700
    assert list(copy.path.parent.iterdir()) == [copy.path]
    assert "secret" not in str(copy.path)


def test_every_url_has_its_own_cached_copy(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    Copy(URL, environ).write(b"one")
    assert Copy(f"{URL}2", environ).read() is None


def test_the_cached_copy_is_in_the_cache_folder(tmp_path: Path) -> None:
    assert str(Copy(URL, {"XDG_CACHE_HOME": "/x", "HOME": "/h"}).path).startswith("/x/sluice/models-")
    assert str(Copy(URL, {"XDG_CACHE_HOME": "not/absolute", "HOME": "/h"}).path).startswith("/h/.cache/sluice/models-")
    nowhere = Copy(URL, {})
    assert (nowhere.path, nowhere.read(), nowhere.write(b"")) == (None, None, "neither XDG_CACHE_HOME nor HOME is set")


def test_a_failed_write_of_the_copy_is_reported_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "sluice").write_text("a file where the folder should be")
    assert Copy(URL, {"XDG_CACHE_HOME": str(tmp_path)}).write(b"x") == f"{tmp_path}/sluice: File exists"


def test_an_oversized_cached_copy_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy(URL, {"XDG_CACHE_HOME": str(tmp_path)})
    copy.write(b"12345")
    monkeypatch.setattr(remote, "MAX_BYTES", 4)
    assert copy.read() is None
