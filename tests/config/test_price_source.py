from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.config.price_source import PriceSource
from proxy.config.remote import FetchFailed
from proxy.config.source import Source

URL = "https://prices.example.org/list?token=secret"
SHOWN = "https://prices.example.org/list"


def document(version: str) -> bytes:
    return b'{"version":"%b","date":"2026-11-29","prices":[],"providers":{}}' % version.encode()


class Site:
    """Replaces the network: content of the URL, ``None`` while it is down."""

    def __init__(self) -> None:
        self.says: bytes | None = document("one")

    async def fetch(self, url: str, environ: Mapping[str, str]) -> bytes:
        if self.says is None:
            raise FetchFailed("cannot be reached: gone")
        return self.says


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def version(prices: PriceSource) -> str | None:
    return None if prices.document is None else prices.document.version


def spoil(cache: Path) -> None:
    (copy,) = cache.glob("sluice/prices-*.json")
    copy.write_bytes(b"broken")


async def test_a_document_replaces_the_shipped_prices(site: Site, environ: dict[str, str]) -> None:
    prices = PriceSource(site.fetch)
    assert await prices.load("", environ) == []
    assert version(prices) is None
    assert await prices.load(URL, environ) == []
    assert version(prices) == "one"
    assert await prices.load("", environ) == []
    assert version(prices) is None


async def test_a_bad_document_is_refused_whole_and_the_former_stays(site: Site, environ: dict[str, str]) -> None:
    prices = PriceSource(site.fetch)
    await prices.load(URL, environ)
    for content in (b"<html>", document(""), None):
        site.says = content
        (notice,) = await prices.load(URL, environ)
        assert notice.startswith(f"pricesUrl: {SHOWN} ")
        assert notice.endswith("; the last valid prices stay in use")
        assert "secret" not in notice
        assert version(prices) == "one"


async def test_without_any_valid_document_the_shipped_prices_are_used(site: Site, environ: dict[str, str]) -> None:
    prices = PriceSource(site.fetch)
    site.says = None
    assert await prices.load(URL, environ) == [
        f"pricesUrl: {SHOWN} cannot be reached: gone; the shipped prices are used"
    ]
    assert version(prices) is None


async def test_the_last_valid_document_outlives_the_process(site: Site, environ: dict[str, str]) -> None:
    await PriceSource(site.fetch).load(URL, environ)
    site.says = None
    prices = PriceSource(site.fetch)
    (notice,) = await prices.load(URL, environ)
    assert notice.endswith("; the last valid prices stay in use")
    assert version(prices) == "one"
    spoil(Path(environ["XDG_CACHE_HOME"]))
    prices = PriceSource(site.fetch)
    assert (await prices.load(URL, environ))[0].endswith("; the shipped prices are used")


async def test_prices_are_used_even_if_they_cannot_be_cached(site: Site) -> None:
    prices = PriceSource(site.fetch)
    (notice,) = await prices.load(URL, {})
    assert notice == f"pricesUrl: {SHOWN} cannot be cached: neither XDG_CACHE_HOME nor HOME is set"
    assert version(prices) == "one"


async def test_a_change_is_found_once(site: Site, environ: dict[str, str]) -> None:
    prices = PriceSource(site.fetch)
    await prices.load(URL, environ)
    assert not await prices.changed(environ)
    site.says = document("two")
    assert await prices.changed(environ)
    assert not await prices.changed(environ)
    site.says = b"{}"
    with pytest.raises(FetchFailed, match="is no price document"):
        await prices.changed(environ)
    assert not await prices.changed(environ)  # reported already


async def test_a_source_loads_the_prices_of_its_configuration(
    tmp_path: Path, site: Site, environ: dict[str, str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"pricesUrl: '{URL}'\nproviders: {{a: {{baseUrl: http://a}}}}\n")
    source = Source(path, environ, fetch=site.fetch)
    loaded = await source.load()
    assert loaded.prices is not None
    assert loaded.prices.version == "one"
    assert await source.refresh_prices() is None
    site.says = document("two")
    loaded_again = await source.refresh_prices()
    assert loaded_again is not None
    assert loaded_again.prices is not None
    assert loaded_again.prices.version == "two"
    path.write_text("pricesUrl: ftp://x\nproviders: {a: {baseUrl: http://a}}\n")
    with pytest.raises(Exception, match="pricesUrl: expected a URL that begins with http"):
        await source.load()
