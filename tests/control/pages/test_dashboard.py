"""The files of the dashboard: names, revalidation, and the content security policy."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from importlib.resources import files

import pytest

from proxy.control.pages.dashboard import DashboardPages
from tests.control.server import ControlServer

FOLDER = files("proxy.control") / "dashboard"
NAMES = sorted(file.name for file in FOLDER.iterdir() if file.name != "index.html")
MOST = 253_000  # bytes of all files together


@pytest.fixture
async def site() -> AsyncIterator[ControlServer]:
    async with ControlServer(lambda served: DashboardPages().routes()) as site:
        yield site


async def test_the_page_is_open_and_allows_our_own_files_only(site: ControlServer) -> None:
    answer = await site.fetch("GET", "/")
    assert (answer.status, answer.header("content-type")) == (200, "text/html; charset=utf-8")
    policy = answer.header("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy  # no inline scripts
    assert "style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.body == (FOLDER / "index.html").read_bytes()


@pytest.mark.parametrize("name", NAMES)
async def test_every_file_has_its_content_type(name: str, site: ControlServer) -> None:
    answer = await site.fetch("GET", f"/admin/assets/{name}")
    kinds = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    assert (answer.status, answer.header("content-type")) == (200, kinds[name.rpartition(".")[2]])
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("cache-control") == "no-cache"
    assert answer.body == (FOLDER / name).read_bytes()


async def test_a_known_entity_tag_is_a_304(site: ControlServer) -> None:
    tag = (await site.fetch("GET", "/admin/assets/main.js")).header("etag") or ""
    assert re.fullmatch(r'"[0-9a-f]+"', tag)
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await site.fetch("GET", "/admin/assets/main.js", ("If-None-Match", known))
        assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
    changed = await site.fetch("GET", "/admin/assets/main.js", ("If-None-Match", '"other"'))
    assert changed.status == 200


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "gzip, deflate, br, zstd"])
async def test_gzip_is_used_when_accepted(accepted: str, site: ControlServer) -> None:
    answer = await site.fetch("GET", "/admin/assets/main.js", ("Accept-Encoding", accepted))
    assert answer.header("content-encoding") == "gzip"
    assert answer.header("vary") == "Accept-Encoding"
    assert gzip.decompress(answer.body) == (FOLDER / "main.js").read_bytes()


@pytest.mark.parametrize("accepted", ["gzip;q=0", "gzip; q=0.000", "br", "identity"])
async def test_gzip_is_not_used_when_refused(accepted: str, site: ControlServer) -> None:
    answer = await site.fetch("GET", "/admin/assets/main.js", ("Accept-Encoding", accepted))
    assert answer.header("content-encoding") is None


@pytest.mark.parametrize("name", ["index.html", "Main.js", "main.js.map", "..%2fassets.py", "%2e%2e", "main.js%00"])
async def test_any_other_name_is_a_404(name: str, site: ControlServer) -> None:
    answer = await site.fetch("GET", f"/admin/assets/{name}")
    assert answer.status in (400, 404)


async def test_head_has_the_headers_of_get(site: ControlServer) -> None:
    whole = await site.fetch("GET", "/admin/assets/main.js")
    bare = await site.fetch("HEAD", "/admin/assets/main.js")
    assert (bare.status, bare.body) == (200, b"")
    assert (bare.header("etag"), bare.header("content-length")) == (whole.header("etag"), str(len(whole.body)))


def test_the_dashboard_is_small() -> None:
    assert sum(len(file.read_bytes()) for file in FOLDER.iterdir()) <= MOST


def test_there_are_no_external_or_inline_resources() -> None:
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page)
    for file in FOLDER.iterdir():
        found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", file.read_text())
        assert [each for each in found if "www.w3.org" not in each] == [], file.name


def test_the_page_preloads_every_module() -> None:
    """An imported module that is not preloaded is found only after its importer was loaded."""
    page = (FOLDER / "index.html").read_text()
    assert sorted(re.findall(r"/admin/assets/([\w.]+)", page)) == NAMES


def test_no_file_turns_text_into_markup() -> None:
    for file in FOLDER.iterdir():
        words = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|DOMParser", file.read_text()
        )
        assert words == [], file.name
