"""Files that change, break, vanish and come back while services follow them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config.service_schema import DiscoverySettings, ServiceSettings
from proxy.services.discovery.file import shared
from proxy.services.discovery.file.opening import FileDiscovery, open_discovery
from proxy.services.discovery.file.shared import FileClocks
from tests.support.patience import until

A, B, C = "http://10.0.0.1:8080", "http://10.0.0.2:8080", "http://10.0.0.3:8080"


class Bench:
    """``pass_time`` lets each pause between two looks end, and waits until the looks are over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1000.0
        self.pauses = 0
        self._sleepers: list[asyncio.Future[None]] = []
        self.discovery = FileDiscovery(FileClocks(lambda: self.now, self._sleep))
        self.found: dict[str, list[list[str]]] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.sources = {}  # type: ignore[var-annotated]

    async def _sleep(self, seconds: float) -> None:
        self.pauses += 1
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        await sleeper

    def write(self, text: str) -> None:
        """As most editors do: another file takes its place."""
        other = self.path.with_suffix(".new")
        other.write_text(text)
        os.replace(other, self.path)

    def follow(self, service: str) -> None:
        source = self.sources[service] = self.discovery.source(service, ServiceSettings(file=str(self.path)))
        self.found[service] = found = []
        note = lambda addresses: found.append([each.url for each in addresses])  # noqa: E731
        self.tasks[service] = asyncio.create_task(source.follow(note))

    async def first(self) -> None:
        await until(lambda: self._sleepers, "the first look")

    async def pass_time(self, looks: int = 2) -> None:
        for _ in range(looks):
            await until(lambda: self._sleepers, "the pause")
            seen, sleepers, self._sleepers = self.pauses, self._sleepers, []
            for each in sleepers:
                each.set_result(None)
            await until(lambda seen=seen: self.pauses > seen, "the next pause")  # type: ignore[misc]
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def stop(self, service: str) -> None:
        self.tasks[service].cancel()
        await asyncio.gather(self.tasks[service], return_exceptions=True)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "consul.yml")
    yield made
    for service in made.tasks:
        await made.stop(service)
    await made.discovery.close()


async def test_services_of_a_file_get_their_addresses_and_changes(bench: Bench) -> None:
    bench.write(f"web: [{A}]\napi: [{B}]")
    bench.follow("web")
    bench.follow("api")
    await bench.first()
    await until(lambda: bench.found == {"web": [[A]], "api": [[B]]}, "the addresses")
    bench.write(f"web: [{A}, {C}]\napi: [{B}]")
    await bench.pass_time()
    assert bench.found == {"web": [[A], [A, C]], "api": [[B]]}
    assert bench.sources["web"].state.up
    assert bench.sources["web"].state.at == 1000.0


async def test_a_file_that_is_still_written_is_not_read(bench: Bench) -> None:
    bench.write(f"web: [{A}]")
    bench.follow("web")
    await bench.first()
    bench.write("")
    await bench.pass_time(1)
    bench.write(f"web: [{A}, {B}]")
    await bench.pass_time(1)
    assert bench.found["web"] == [[A]]
    await bench.pass_time(1)
    assert bench.found["web"] == [[A], [A, B]]


async def test_a_broken_edit_keeps_the_last_addresses_and_says_what_is_wrong(bench: Bench) -> None:
    bench.write(f"web: [{A}]")
    bench.follow("web")
    await bench.first()
    bench.write("web: [{host: 10.0.0.1, port: 0}, 5]")
    await bench.pass_time()
    assert bench.found["web"] == [[A]]
    state = bench.sources["web"].state
    assert (state.up, state.at) == (False, 1000.0)
    assert f"{bench.path}: web[0].port: expected a port from 1 to 65535; " in state.error
    assert "web[1]" in state.error
    bench.now += 5
    bench.write(f"web: [{B}]")
    await bench.pass_time()
    assert bench.found["web"] == [[A], [B]]
    assert (bench.sources["web"].state.up, bench.sources["web"].state.at) == (True, 1005.0)


async def test_a_file_that_vanishes_keeps_the_last_addresses(bench: Bench) -> None:
    bench.write(f"web: [{A}]")
    bench.follow("web")
    await bench.first()
    away = bench.path.with_suffix(".away")
    os.replace(bench.path, away)
    await bench.pass_time()
    assert bench.found["web"] == [[A]]
    assert bench.sources["web"].state.error == f"{bench.path}: no such file"
    os.replace(away, bench.path)  # the very file that was read before
    await bench.pass_time()
    assert bench.sources["web"].state.up
    assert bench.found["web"] == [[A]]


async def test_a_file_that_comes_later(bench: Bench) -> None:
    bench.follow("web")
    await bench.first()
    assert bench.sources["web"].state.error == f"{bench.path}: no such file"
    assert bench.found["web"] == []
    bench.write(f"web: [{A}]")
    await bench.pass_time()
    assert bench.found["web"] == [[A]]


async def test_a_service_that_is_not_in_the_file_has_none(bench: Bench) -> None:
    bench.write(f"web: [{A}]")
    bench.follow("api")
    await bench.first()
    await until(lambda: bench.found["api"], "the answer")
    assert bench.found["api"] == [[]]
    state = bench.sources["api"].state
    assert state.up
    assert state.error == f'{bench.path} has no service "api" (it has: "web")'
    bench.write(f"api: [{A}]")
    await bench.pass_time()
    assert bench.found["api"] == [[], [A]]
    assert bench.sources["api"].state.error == ""


async def test_addresses_without_a_name_are_those_of_each_service(bench: Bench) -> None:
    bench.write(f"addresses: [{A}]")
    bench.follow("web")
    await bench.first()
    await until(lambda: bench.found["web"], "the addresses")
    assert bench.found["web"] == [[A]]
    assert bench.sources["web"].state.error == ""


async def test_a_service_that_comes_while_the_file_is_broken_gets_what_it_had(bench: Bench) -> None:
    bench.write(f"web: [{A}]\napi: [{B}]")
    bench.follow("web")
    await bench.first()
    bench.write("broken: [")
    await bench.pass_time()
    bench.follow("api")
    await until(lambda: bench.found["api"], "the last addresses")
    assert bench.found["api"] == [[B]]
    await bench.stop("web")
    await bench.stop("api")
    bench.follow("api")  # the first one after a while without any
    await until(lambda: bench.found["api"], "the last addresses")
    assert bench.found["api"] == [[B]]


async def test_a_file_that_is_too_large_is_not_read_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MOST_BYTES", 10)
    bench.write(f"web: [{A}]")
    bench.follow("web")
    await bench.first()
    assert bench.sources["web"].state.error == f"{bench.path}: has more than 10 bytes"


async def test_a_folder_is_no_file(bench: Bench) -> None:
    bench.path.mkdir()
    bench.follow("web")
    await bench.first()
    assert bench.sources["web"].state.error.startswith(f"{bench.path}: cannot be read")


async def test_looks_end_with_the_last_service(tmp_path: Path) -> None:
    path = tmp_path / "consul.yml"
    path.write_text(f"web: [{A}]")
    opened = open_discovery(DiscoverySettings(), {})
    found: list[object] = []
    task = asyncio.create_task(opened.source("web", ServiceSettings(file=str(path))).follow(found.append))
    await until(lambda: found, "the addresses")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    name = f"services of {path}"
    await until(lambda: name not in [each.get_name() for each in asyncio.all_tasks()], "the looks to end")
    await opened.close()
