from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.config.loader import Loaded, bare
from proxy.config.remote import FetchFailed
from proxy.config.source import Source
from proxy.errors import ConfigError

URL = "https://models.example.org/list?token=secret"
CONFIG = f"modelsFile: '{URL}'\nproviders: {{a: {{baseUrl: http://a}}, b: {{baseUrl: http://b, apiKey: ''}}}}\n"


class Site:
    """Replaces the network: content of the URL, ``None`` while it is down."""

    def __init__(self, says: str | None) -> None:
        self.says = says
        self.fetched: list[str] = []

    async def fetch(self, url: str, environ: Mapping[str, str]) -> bytes:
        self.fetched.append(url)
        if self.says is None:
            raise FetchFailed("cannot be reached: gone")
        return self.says.encode()


@pytest.fixture
def site() -> Site:
    return Site("models: [{name: one, provider: a}]")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "K": "value"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def source(path: Path, environ: dict[str, str], site: Site) -> Source:
    return Source(path, environ, fetch=site.fetch)


def put(path: Path, text: str) -> None:
    path.write_text(text)


def names(loaded: Loaded | None) -> list[str]:
    assert loaded is not None
    return [model.name for model in loaded.config.models]


async def mistakes(source: Source) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        await source.load()
    return caught.value.mistakes


async def test_the_list_is_fetched_and_checked_with_the_file(source: Source, site: Site) -> None:
    site.says = "models: [{name: one, provider: a}, {name: two, provider: b}]"
    loaded = await source.load()
    assert (names(loaded), site.fetched) == (["one"], [URL])
    assert [(model.name, model.file) for model in loaded.left_out] == [("two", "the list of models")]


async def test_a_json_list_is_accepted(source: Source, site: Site) -> None:
    site.says = '{"models": [{"name": "j", "provider": "a", "tags": ["x"]}]}'
    assert names(await source.load()) == ["j"]


async def test_a_failed_fetch_without_a_copy_is_a_mistake_without_the_query(source: Source, site: Site) -> None:
    site.says = None
    assert await mistakes(source) == ["modelsFile: https://models.example.org/list cannot be reached: gone"]


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@models.example.org/list",
        "https://secret@models.example.org/list?a=b",
        "https://models.example.org/list#secret",
        "https://models.example.org:0/list?secret",
        "http:///list?secret",
        "https://models.example.org/../list?secret",
    ],
)
async def test_an_invalid_url_is_not_fetched_or_repeated(url: str, source: Source, site: Site, path: Path) -> None:
    put(path, f"modelsFile: '{url}'\nproviders: {{a: {{baseUrl: http://a}}}}\n")
    (mistake,) = await mistakes(source)
    assert mistake.startswith(f"{path}: modelsFile: ")
    assert "secret" not in mistake
    assert await source.refresh() is None
    assert site.fetched == []


def test_a_url_in_a_message_shows_no_credentials() -> None:
    for url in ("https://u:p@h.example:1/a", "https://u:p@w@h.example:1/a?key=s", "https://h.example:1/a"):
        assert bare(url) == "https://h.example:1/a"
    assert bare("https://h.example/a@b") == "https://h.example/a@b"
    assert bare("models.yaml") == "models.yaml"


async def test_the_copy_serves_a_later_process_while_the_url_is_down(
    source: Source, site: Site, path: Path, environ: dict[str, str]
) -> None:
    await source.load()
    site.says = None
    later = Source(path, environ, fetch=site.fetch)
    loaded = await later.load()
    assert names(loaded) == ["one"]
    assert loaded.notices[-1] == (
        "modelsFile: https://models.example.org/list cannot be reached: gone; the last valid list stays in use"
    )


async def test_a_copy_that_cannot_be_written_is_a_notice(path: Path, site: Site) -> None:
    loaded = await Source(path, {}, fetch=site.fetch).load()
    assert names(loaded) == ["one"]
    assert loaded.notices[-1] == (
        "modelsFile: https://models.example.org/list cannot be cached: neither XDG_CACHE_HOME nor HOME is set"
    )


@pytest.mark.parametrize(
    ("says", "complaint"),
    [
        ("models: [{name: x, provider: c}]", 'models[0].provider: no provider "c"'),
        ("models: [{name: x, provider: a, baseUrl: http://evil}]", 'models[0]: unknown key "baseUrl"'),
        ("models: [{name: x, provider: a, apiKey: k}]", 'models[0]: unknown key "apiKey"'),
        ("providers: {a: {baseUrl: http://evil}}", 'unknown key "providers"'),
        ("<html>", "expected a mapping"),
        ("models: [", "line 2, column 1"),
        ("models: [{name: x, provider: a, tags: &t [y]}, {name: z, provider: a, tags: *t}]", "line 1: anchors and aliases"),
        ("models: [{name: x, provider: a, weight: '${K}'}]", 'models[0].weight: expected a number, got "${K}"'),
    ],
)  # fmt: skip
async def test_an_invalid_list_keeps_the_last_valid_one(source: Source, site: Site, says: str, complaint: str) -> None:
    await source.load()
    site.says = says
    loaded = await source.load()
    assert names(loaded) == ["one"]
    assert (
        "modelsFile: https://models.example.org/list has mistakes; the last valid list stays in use" in loaded.notices
    )
    assert loaded.notices[-1].startswith(f"https://models.example.org/list: {complaint}")
    site.says = None  # nor has it become the copy
    assert names(await source.load()) == ["one"]


async def test_variables_are_not_expanded_in_a_list_from_a_url(source: Source, site: Site) -> None:
    site.says = "models: [{name: '${K}', provider: a, tags: ['$${']}]"
    (model,) = (await source.load()).config.models
    assert (model.name, model.tags) == ("${K}", ["$${"])


async def test_an_invalid_list_without_a_copy_is_rejected(source: Source, site: Site) -> None:
    site.says = "models: [{name: x, provider: c}]"
    assert await mistakes(source) == ['https://models.example.org/list: models[0].provider: no provider "c"']


async def test_a_flood_of_mistakes_is_bounded(source: Source, site: Site) -> None:
    site.says = "models: [" + "1, " * 500 + "]"
    reported = await mistakes(source)
    assert (len(reported), reported[-1]) == (21, "and 480 more mistakes")


async def test_mistakes_of_file_and_list_are_reported_together(source: Source, site: Site, path: Path) -> None:
    await source.load()
    put(path, CONFIG + "oops: 1\n")
    site.says = "models: [1]"
    reported = await mistakes(source)
    assert len(reported) == 2
    assert "oops" in reported[0]
    assert "models[0]" in reported[1]
    site.says = None
    assert [line.partition(": ")[2][:18] for line in await mistakes(source)] == ['unknown key "oops"']


async def test_a_refresh_returns_only_changes(source: Source, site: Site) -> None:
    await source.load()
    assert await source.refresh() is None
    site.says = "models: [{name: two, provider: a}]"
    assert names(await source.refresh()) == ["two"]
    assert await source.refresh() is None
    site.says = None
    with pytest.raises(FetchFailed):
        await source.refresh()


async def test_an_invalid_refresh_returns_the_last_list_once(source: Source, site: Site) -> None:
    first = await source.load()
    site.says = "models: [1]"
    again = await source.refresh()
    assert again is not None
    assert again.config == first.config
    assert await source.refresh() is None


async def test_a_strategy_for_a_removed_model_does_not_block_the_list(source: Source, site: Site, path: Path) -> None:
    put(path, CONFIG + "routing: {strategies: {one: smart, auto: lowest_cost}}\n")
    assert len((await source.load()).notices) == 1
    site.says = "models: [{name: two, provider: a}]"
    loaded = await source.load()
    assert names(loaded) == ["two"]
    assert loaded.notices[-1] == 'routing.strategies.one has no effect: no model "one"'


async def test_without_a_url_nothing_is_fetched(path: Path, site: Site) -> None:
    put(path, "providers: {a: {baseUrl: http://a}}")
    source = Source(path, {}, fetch=site.fetch)
    assert list((await source.load()).config.providers) == ["a"]
    assert await source.refresh() is None
    assert site.fetched == []


async def test_the_command_line_overrides_everything(path: Path, site: Site) -> None:
    def amend(loaded: Loaded) -> Loaded:
        return replace(loaded, notices=["amended"])

    assert (await Source(path, {}, amend=amend, fetch=site.fetch).load()).notices == ["amended"]


async def test_stamps_cover_all_files_even_after_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, models, env_file = tmp_path / "c.yaml", tmp_path / "m.yaml", Path(".env")
    put(path, "modelsFile: m.yaml")
    source = Source(path, {})
    await mistakes(source)  # the file of models is not there yet
    assert set(source.stamps) == {path, models, env_file}
    assert source.stamps[models] is source.stamps[env_file] is None
    put(models, "models: []")
    put(env_file, "A=1")
    await source.load()
    assert None not in source.stamps.values()
    put(path, "{")
    await mistakes(source)
    assert set(source.stamps) == {path, models, env_file}


async def test_a_dot_env_is_read_when_it_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = Source(None, {})
    assert (await source.load()).config.server.port == 8080
    put(Path(".env"), "LISTEN_PORT=1\nROUTER_CONFIG_PATH=c.yaml")
    put(Path("c.yaml"), "{}")
    assert (await source.load()).config.server.port == 1
    assert set(source.stamps) == {Path(".env"), Path("c.yaml")}


async def test_process_variables_take_precedence_over_the_env_file(
    path: Path, environ: dict[str, str], site: Site, tmp_path: Path
) -> None:
    env_file = tmp_path / "my.env"
    env_file.write_text("HTTPS_PROXY=http://p:1\nK=file\nNO_PROXY=your_hosts_here\n")
    source = Source(path, environ, env_file, fetch=site.fetch)
    assert "HTTPS_PROXY" not in source.environment
    await source.load()
    assert (source.environment["HTTPS_PROXY"], source.environment["K"]) == ("http://p:1", "value")
    assert "NO_PROXY" not in source.environment
