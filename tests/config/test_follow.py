"""Reloading without files, sockets and a gateway: source and runner are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from proxy.config.follow import NEW_PRICES, NEWS, Follow
from proxy.config.loader import Loaded
from proxy.config.remote import FetchFailed
from proxy.config.schema import Config
from proxy.config.watch import Stamp
from proxy.errors import ConfigError
from tests.support import until

URL = "https://host.example/models?token=secret"
OLD, NEW = Config(models_file=URL), Config(models_file=URL, default_provider="p")

Result = Loaded | Exception | None


class Scripted:
    """A source and a runner. ``done`` are the calls of the runner."""

    def __init__(self, *results: Result, refused: Exception | None = None) -> None:
        self.results = list(results)
        self.refused = refused
        self.stamps: dict[Path, Stamp | None] = {}
        self.loading = 0
        self.done: list[tuple[object, ...]] = []

    async def load(self) -> Result:
        self.loading += 1
        assert self.loading == 1
        await asyncio.sleep(0)
        self.loading -= 1
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    refresh = refresh_prices = load

    async def take(self, loaded: Loaded, why: str) -> None:
        if self.refused is not None:
            raise self.refused
        await asyncio.sleep(0)
        self.done.append(("take", loaded.config.default_provider, why))

    def keep(self, why: str, mistakes: list[str]) -> None:
        self.done.append(("keep", why, mistakes))

    def notice(self, line: str) -> None:
        self.done.append(("notice", line))


def follow(scripted: Scripted, config: Config = OLD) -> Follow:
    return Follow(cast(Any, scripted), scripted, config)


async def test_a_reload_applies_what_was_loaded() -> None:
    scripted = Scripted(Loaded(NEW, []))
    assert await follow(scripted).reload("because")
    assert scripted.done == [("take", "p", "because")]


@pytest.mark.parametrize(
    ("result", "refused", "done"),
    [
        (ConfigError(["a", "b"]), None, ("keep", "because", ["a", "b"])),
        (Loaded(NEW, []), ConfigError(["c"]), ("keep", "because", ["c"])),
        (RuntimeError("with a secret"), None, ("keep", "because", ["unexpected RuntimeError"])),
        (Loaded(NEW, []), OSError("with a secret"), ("keep", "because", ["unexpected OSError"])),
        (
            FetchFailed("answers with status 500"),
            None,
            (
                "notice",
                "modelsFile: https://host.example/models answers with status 500; the last valid list stays in use",
            ),
        ),
    ],
)
async def test_after_an_error_the_present_configuration_stays_and_the_error_is_reported(
    result: Result, refused: Exception | None, done: tuple[object, ...]
) -> None:
    scripted = Scripted(result, refused=refused)
    assert not await follow(scripted).reload("because")
    assert scripted.done == [done]


async def test_a_refresh_applies_only_a_list_that_has_changed() -> None:
    scripted = Scripted(None, Loaded(OLD, []), Loaded(NEW, []), Loaded(NEW, []))
    own = follow(scripted)
    assert [await own.refresh() for _ in range(4)] == [False, False, True, False]
    assert scripted.done == [("take", "p", NEWS)]


async def test_prices_are_applied_if_they_have_changed_and_a_failure_is_told_once() -> None:
    priced = Config(prices_url="https://host.example/prices?token=secret", default_provider="q")
    down = FetchFailed("is down")
    scripted = Scripted(None, Loaded(priced, []), down, down, None, down)
    own = follow(scripted, priced)
    assert [await own.refresh_prices() for _ in range(6)] == [False, True, False, False, False, False]
    line = "pricesUrl: https://host.example/prices is down; the former prices stay in use"
    assert scripted.done == [("take", "q", NEW_PRICES), ("notice", line), ("notice", line)]


async def test_a_notice_is_repeated_only_after_it_was_gone() -> None:
    down = FetchFailed("is down")
    scripted = Scripted(down, down, Loaded(OLD, []), down, Loaded(OLD, ["x"]), Loaded(OLD, ["x", "y"]))
    own = follow(scripted)
    for _ in range(6):
        await own.refresh()
    line = "modelsFile: https://host.example/models is down; the last valid list stays in use"
    assert scripted.done == [("notice", each) for each in (line, line, "x", "y")]


async def test_notices_of_a_reload_are_not_repeated_by_a_refresh() -> None:
    scripted = Scripted(Loaded(NEW, ["x"]), Loaded(NEW, ["x"]))
    own = follow(scripted)
    await own.reload("because")
    await own.refresh()
    assert scripted.done == [("take", "p", "because")]


async def test_concurrent_reloads_run_one_at_a_time() -> None:
    scripted = Scripted(*(Loaded(replace(NEW, default_provider=name), []) for name in "abc"))
    own = follow(scripted)
    await asyncio.gather(*(own.reload(why) for why in "123"))
    assert scripted.done == [("take", "a", "1"), ("take", "b", "2"), ("take", "c", "3")]


async def running(own: Follow, scripted: Scripted, wanted: Callable[[], object]) -> None:
    task = asyncio.ensure_future(own.run())
    await until(wanted, "the reload")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_wake_up_reloads_at_once_even_without_a_change() -> None:
    scripted = Scripted(Loaded(OLD, []))
    own = follow(scripted)
    own.wake()
    await running(own, scripted, lambda: scripted.done)
    assert scripted.done == [("take", "", "asked to")]


async def test_the_end_of_the_last_of_several_wake_ups_is_reported_whatever_its_result() -> None:
    scripted = Scripted(FetchFailed("is down"), ConfigError(["a"]))
    own = follow(scripted)
    load, reported = scripted.load, []

    async def wake_once_more() -> Result:
        if len(scripted.results) == 2:
            own.wake()
        return await load()

    scripted.load = wake_once_more  # type: ignore[method-assign]
    own.reloaded = lambda: reported.append(len(scripted.results))
    own.wake()
    await running(own, scripted, lambda: reported)
    assert reported == [0]


async def test_a_changed_file_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.config.follow.POLL_SECS", 0.001)
    path = tmp_path / "config.yaml"
    path.write_text("{}")
    scripted = Scripted(*[Loaded(OLD, [])] * 1000)
    scripted.stamps = {path: None}
    await running(follow(scripted), scripted, lambda: scripted.done)
    assert scripted.done[0] == ("take", "", f"changed: {path}")


@pytest.mark.parametrize(
    ("models_file", "every", "due"),
    [(URL, 0.001, True), (URL, 0.0, False), (URL, 1000.0, False), ("models.yaml", 0.001, False)],
)
async def test_a_list_at_a_url_is_refreshed_when_it_is_due(
    models_file: str, every: float, due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.config.follow.POLL_SECS", 0.001)
    polls = 0

    def stamps() -> dict[Path, Stamp | None]:
        nonlocal polls
        polls += 1
        return {}

    scripted = Scripted(*[Loaded(NEW, [])] * 1000)
    monkeypatch.setattr(Scripted, "stamps", property(lambda self: stamps(), lambda self, value: None), raising=False)
    own = follow(scripted, Config(models_file=models_file, models_refresh_secs=every))
    await running(own, scripted, lambda: scripted.done if due else polls > 20)
    assert scripted.done[:1] == ([("take", "p", NEWS)] if due else [])
