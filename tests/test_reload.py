"""Configuration reloads: applied completely or not at all."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.config.follow import Follow
from proxy.config.known_providers import NONE_USABLE
from proxy.config.source import Source
from tests.support import Upstream, Wait, completion, json_answer, until, within
from tests.support.gateway import Gateway, GatewayProcess, Process

CHAT = "/v1/chat/completions"


class House:
    """A folder with config.yaml, and a gateway that follows it."""

    def __init__(self, folder: Path, up: Upstream, **environ: str) -> None:
        self.path = folder / "config.yaml"
        self.models = folder / "models.yaml"
        self.env_file = folder / "my.env"
        self.up = up
        self.config: dict[str, Any] = {
            "dataDir": str(folder / "data"),
            "server": {"port": 0, "drainSecs": 1},
            "providers": {"up": {"baseUrl": up.url, "apiKey": "${KEY}"}},
            "models": [{"name": "one", "provider": "up"}],
        }
        self.env_file.write_text("KEY=first-key\n")
        self.environ = {"XDG_CACHE_HOME": str(folder / "cache")} | environ
        self.source = Source(self.path, self.environ, self.env_file)
        self.write()

    def write(self, **sections: Any) -> None:
        self.config |= sections
        self.path.write_bytes(msgspec.yaml.encode(self.config))

    async def open(self) -> Gateway:
        loaded = await self.source.load()
        return Gateway(loaded.config, environ=self.environ, follows=self.source, left_out=loaded.left_out)


@pytest.fixture
async def up() -> Any:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
def house(tmp_path: Path, up: Upstream) -> House:
    return House(tmp_path, up)


def follow(gw: Gateway) -> Follow:
    assert gw.app.running.follow is not None
    return gw.app.running.follow


async def names(gw: Gateway | Process) -> list[str]:
    client = await gw.client()
    answer = await client.fetch("GET", "/v1/models")
    return [model["id"] for model in json.loads(answer.body)["data"]]


async def ask(gw: Gateway | Process, model: str) -> int:
    client = await gw.client()
    return (await client.fetch("POST", CHAT, json={"model": model, "messages": []})).status


def logged(gw: Gateway, level: str) -> list[str]:
    return [line["message"] for line in map(json.loads, gw.log_lines) if line["level"] == level and "message" in line]


TWO = [{"name": "two", "provider": "up"}]


async def test_a_reload_swaps_models_and_keys(house: House) -> None:
    async with await house.open() as gw:
        assert (await ask(gw, "one"), await ask(gw, "two")) == (200, 404)
        house.write(models=TWO)
        house.env_file.write_text("KEY=second-key\n")
        assert await follow(gw).reload("test")
        assert (await ask(gw, "one"), await ask(gw, "two"), await names(gw)) == (404, 200, ["two"])
        keys = [request.header("authorization") for request in house.up]
        assert keys == ["Bearer first-key", "Bearer second-key"]


async def test_a_reload_turns_the_cache_on_and_off_and_applies_its_rules_and_times(house: House) -> None:
    call: dict[str, Any] = {"model": "one", "messages": []}
    async with await house.open() as gw:
        client = await gw.client()

        async def states(count: int, **settings: Any) -> list[str | None]:
            house.write(cache=settings)
            assert await follow(gw).reload("test")
            return [(await client.fetch("POST", CHAT, json=call)).header("x-router-cache") for _ in range(count)]

        assert await states(2) == [None, None]
        assert await states(2, enabled=True) == ["miss", "hit"]
        assert await states(1, enabled=True, ttlSecs=7200) == ["hit"]
        assert await states(2, enabled=True, ttlSecs=1e-9) == ["miss", "miss"]
        assert await states(1, enabled=True, rules=[{"models": ["o*"], "enabled": False}]) == ["bypass"]
        assert await states(2, enabled=True, rules=[{"models": ["x"], "enabled": False}]) == ["miss", "hit"]
        assert await states(1, enabled=False) == [None]
        assert await states(2, enabled=True) == ["miss", "hit"]


async def test_a_running_exchange_keeps_its_catalog(house: House) -> None:
    gate = asyncio.Event()
    async with await house.open() as gw:
        client = await gw.client()
        house.up.on(lambda request: [Wait(gate), *json_answer(completion("late"))])
        asking = asyncio.ensure_future(client.fetch("POST", CHAT, json={"model": "one", "messages": []}))
        await house.up.request(0)
        house.write(providers={"other": {"baseUrl": "http://127.0.0.1:9"}}, models=[{"name": "x", "provider": "other"}])
        assert await follow(gw).reload("test")
        assert await names(gw) == ["x"]
        gate.set()
        answer = await within(asking, "the answer")
        assert (answer.status, b"late" in answer.body) == (200, True)
        settled = await gw.settled(2)  # after the list of models
        assert (settled["provider"], settled["outcome"]) == ("up", "ok")


async def test_a_bad_file_changes_nothing_and_logs_every_mistake(house: House) -> None:
    async with await house.open() as gw:
        house.write(models=[{"name": "two", "provider": "nobody"}], zzz=1)
        assert not await follow(gw).reload("test")
        assert (await names(gw), await ask(gw, "one")) == (["one"], 200)
        lines = logged(gw, "error")
        assert lines[0] == "The configuration cannot be loaded again; the running one is unchanged."
        assert lines[1].startswith(f'{house.path}: models[0].provider: no provider "nobody"')
        assert lines[2].startswith(f'{house.path}: unknown key "zzz"')
        assert len(lines) == 3


async def test_invalid_certificates_change_nothing(house: House, tmp_path: Path) -> None:
    async with await house.open() as gw:
        (tmp_path / "ca.pem").write_text("no certificate")
        house.write(models=TWO, providers={"up": {"baseUrl": "https://127.0.0.1:9", "tls": {"caFile": "ca.pem"}}})
        assert not await follow(gw).reload("test")
        assert await names(gw) == ["one"]
        assert logged(gw, "error")[1].startswith("providers.up.tls: the certificates cannot be used")


async def test_a_reload_without_any_provider_changes_nothing(house: House) -> None:
    async with await house.open() as gw:
        house.env_file.write_text("KEY=\n")
        assert not await follow(gw).reload("test")
        assert await ask(gw, "one") == 200
        assert logged(gw, "error")[1:] == [
            'provider "up" left out: its apiKey is empty (set KEY)',
            f"{house.path}: 1 model of up left out: it has no key (set KEY)",
            "providers: none would be left",
        ]


async def test_omitted_models_are_logged_once_until_they_change(house: House, up: Upstream) -> None:
    house.write(
        models=[{"name": "one", "provider": "up"}, {"name": "r1", "provider": "openrouter"}],
        providers=house.config["providers"] | {"openrouter": None},
    )
    line = f"{house.path}: 1 model of openrouter left out: it has no key (set OPENROUTER_API_KEY)"
    async with await house.open() as gw:
        assert logged(gw, "info").count(line) == 1
        assert line not in logged(gw, "warning")
        assert await follow(gw).reload("test")
        assert logged(gw, "info").count(line) == 1
        house.write(models=[*house.config["models"], {"name": "r2", "provider": "openrouter"}])
        assert await follow(gw).reload("test")
        assert logged(gw, "info").count(line.replace("1 model", "2 models")) == 1
        client = await gw.client()
        for name in ("r1", "r2"):
            answer = await client.fetch("POST", CHAT, json={"model": name, "messages": []})
            assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
            assert answer.json["error"]["message"] == (
                f'"{name}" is in config.yaml, but its provider openrouter has no key: set OPENROUTER_API_KEY.'
            )
        house.write(providers={"up": house.config["providers"]["up"]})
        assert await follow(gw).reload("test")
        answer = await client.fetch("POST", CHAT, json={"model": "r1", "messages": []})
        assert "is not configured: add openrouter to providers." in answer.json["error"]["message"]


async def test_a_configured_provider_replaces_the_demo(house: House) -> None:
    house.env_file.write_text("KEY=\n")
    house.write(demo="auto")
    async with await house.open() as gw:
        assert "demo" in await names(gw)
        assert await follow(gw).reload("test")
        assert "demo" in await names(gw)
        house.env_file.write_text("KEY=first-key\n")
        assert await follow(gw).reload("test")
        assert await names(gw) == ["one"]


async def test_changes_that_need_a_restart_are_named_in_one_warning(house: House) -> None:
    async with await house.open() as gw:
        port = gw.port
        server = {"port": 1, "host": "0.0.0.0", "unixSocket": "/s", "drainSecs": 2}
        house.write(server=server, pool={"idleSecs": 3}, models=TWO)
        assert await follow(gw).reload("test")
        assert (await names(gw), gw.port) == (["two"], port)
        (line,) = [line for line in map(json.loads, gw.log_lines) if line["level"] == "warning"]
        assert line["message"] == "These changes wait for the next start."
        assert line["keys"] == ["server.host", "server.port", "server.unixSocket", "pool.idleSecs"]
        assert (gw.app.config.server.drain_secs, gw.app.config.server.unix_socket) == (2, "")


async def test_a_reload_keeps_the_store_of_services_and_applies_the_services(house: House) -> None:
    async with await house.open() as gw:
        service = {"addresses": [house.up.url]}
        house.write(discovery={"store": "consul", "region": "eu"}, services={"late": service})
        assert await follow(gw).reload("test")
        assert [*gw.app.services.live.services] == ["late"]
        assert gw.app.running.waiting == ["discovery.store"]
        assert (gw.app.config.discovery.store, gw.app.config.discovery.region) == ("database", "eu")


async def test_the_log_adopts_its_level_and_hides_new_and_old_secrets(house: House) -> None:
    async with await house.open() as gw:
        gw.app.log.debug("not yet")
        house.write(logging={"level": "debug"})
        house.env_file.write_text("KEY=second-key\n")
        assert await follow(gw).reload("test")
        gw.app.log.debug("now first-key and second-key")
        assert logged(gw, "debug") == ["now *** and ***"]


async def test_new_models_have_metrics(house: House) -> None:
    async with await house.open() as gw:
        house.write(models=TWO)
        assert await follow(gw).reload("test")
        assert await ask(gw, "two") == 200
        client = await gw.client()
        await until(lambda: gw.exchanges, "the exchange")
        page = await client.fetch("GET", "/metrics")
        assert b'model="two"' in page.body


async def test_concurrent_reloads_run_one_at_a_time(house: House) -> None:
    async with await house.open() as gw:
        house.write(models=TWO)
        assert all(await asyncio.gather(*(follow(gw).reload(str(number)) for number in range(5))))
        assert await names(gw) == ["two"]


# -- watching -------------------------------------------------------------------------------------------


async def test_every_kind_of_file_change_is_noticed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.config.follow.POLL_SECS", 0.01)
    house.models.write_text("models: [{name: listed, provider: up}]")
    house.write(modelsFile="models.yaml")
    async with await house.open() as gw:

        async def serves(*expected: str) -> None:
            await until(
                lambda: gw.app.gateway and [*map(_name, gw.app.gateway.catalog.deployments)] == [*expected],
                f"{expected} in {gw.log_lines}",
            )

        await serves("one", "listed")
        house.models.write_text("models: [{name: over, provider: up}]")  # written over
        await serves("one", "over")
        new = house.path.with_suffix(".new")
        new.write_text(house.path.read_text().replace("one", "two"))
        new.replace(house.path)  # replaced
        await serves("two", "over")
        house.models.unlink()  # away, and back
        house.models.write_text("models: [{name: back, provider: up}]")
        await serves("two", "back")
        house.env_file.write_text("KEY=new-key\n")
        await until(lambda: gw.app.config.providers["up"].keys == ("new-key",), "the new key")
        house.models.write_text("models: [")  # bad, and good
        await until(lambda: logged(gw, "error"), "a complaint")
        house.models.write_text("models: [{name: good, provider: up}]")
        await serves("two", "good")
        assert [line["why"] for line in map(json.loads, gw.log_lines) if line.get("why")] == [
            f"changed: {house.models}",
            f"changed: {house.path}",
            f"changed: {house.models}",
            f"changed: {house.env_file}",
            f"changed: {house.models}",
            f"changed: {house.models}",
        ]


def _name(deployment: Any) -> str:
    return str(deployment.name)


# -- the list at a URL ----------------------------------------------------------------------------------


class Lists:
    """A server of a model list; ``says`` can change."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.says = b"models: [{name: listed, provider: up}]"
        self.status = 200
        upstream.on(lambda request: [self.answer()])

    def answer(self) -> bytes:
        return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (self.status, len(self.says), self.says)


@pytest.fixture
async def lists() -> Any:
    async with Upstream() as upstream:
        yield Lists(upstream)


async def test_a_list_at_a_url_is_refreshed(house: House, lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.config.follow.POLL_SECS", 0.01)
    house.write(modelsFile=lists.upstream.url, modelsRefreshSecs=0.01)
    async with await house.open() as gw:
        assert await names(gw) == ["one", "listed"]
        lists.says = b"models: [{name: fresh, provider: up}]"
        await until(lambda: "fresh" in str(gw.app.config.models), "the fresh list")
        assert await names(gw) == ["one", "fresh"]
        assert await ask(gw, "fresh") == 200


async def test_prices_at_a_url_apply_without_a_restart(house: House, lists: Lists) -> None:
    house.write(pricesUrl=lists.upstream.url)
    lists.says = b'{"version": "1", "date": "", "prices": [], "providers": {}}'
    async with await house.open() as gw:
        assert not await follow(gw).refresh_prices()
        lists.says = lists.says.replace(b'"1"', b'"2"')
        catalog = gw.app.gateway.catalog
        assert await follow(gw).refresh_prices()
        assert gw.app.gateway.catalog is not catalog
        lists.says = b"{}"
        assert not await follow(gw).refresh_prices()
        assert len(logged(gw, "warning")) == 1


async def test_a_failed_or_unchanged_refresh_is_logged_once(house: House, lists: Lists) -> None:
    house.write(modelsFile=f"{lists.upstream.url}?token=secret")
    async with await house.open() as gw:
        assert gw.app.gateway is not None
        catalog = gw.app.gateway.catalog
        assert not await follow(gw).refresh()
        assert logged(gw, "warning") == []
        lists.status = 500
        for _ in range(3):
            assert not await follow(gw).refresh()
        assert logged(gw, "warning") == [
            f"modelsFile: {lists.upstream.url} answers with status 500; the last valid list stays in use"
        ]
        lists.status, lists.says = 200, b"models: [{name: x, provider: nobody}]"
        for _ in range(3):
            assert not await follow(gw).refresh()
        assert logged(gw, "warning")[1:] == [
            f"modelsFile: {lists.upstream.url} has mistakes; the last valid list stays in use",
            f'{lists.upstream.url}: models[0].provider: no provider "nobody"',
        ]
        assert gw.app.gateway.catalog is catalog
        lists.says = b"models: [{name: good, provider: up}]"
        assert await follow(gw).refresh()
        assert await names(gw) == ["one", "good"]
        assert "secret" not in str(gw.log_lines)


async def test_a_reload_while_the_url_is_down_keeps_the_last_list(house: House, lists: Lists) -> None:
    house.write(modelsFile=lists.upstream.url)
    async with await house.open() as gw:
        lists.status = 503
        house.write(models=TWO)
        assert await follow(gw).reload("test")
        assert await names(gw) == ["two", "listed"]
        assert logged(gw, "warning") == [
            f"modelsFile: {lists.upstream.url} answers with status 503; the last valid list stays in use"
        ]


async def test_a_start_while_the_url_is_down_uses_the_cached_list(house: House, lists: Lists) -> None:
    house.write(modelsFile=lists.upstream.url)
    await house.source.load()
    lists.status = 503
    later = House(house.path.parent, house.up)
    later.write(modelsFile=lists.upstream.url)
    async with await later.open() as gw:
        assert await names(gw) == ["one", "listed"]


# -- as a process ---------------------------------------------------------------------------------------


async def test_sighup_reloads(house: House) -> None:
    house.write(server={"port": 9999})
    args = ["serve", "--config", str(house.path), "--env-file", str(house.env_file), "--port", "0"]
    async with Process(args) as process:

        async def said(text: str, times: int = 1) -> None:
            await until(lambda: str(process.lines).count(text) >= times, f"{text!r} in {process.lines}")

        house.write(models=TWO)
        process.signal(signal.SIGHUP)
        await said("was loaded again")
        assert await names(process) == ["two"]
        house.path.write_text("{")
        process.signal(signal.SIGHUP)
        await said("cannot be loaded again")
        await said("config.yaml: line ")
        assert await names(process) == ["two"]
        assert "wait for the next start" not in str(process.lines)  # the command line's port is still the port
        process.signal(signal.SIGTERM)
        assert await process.wait() == 0


# -- without any provider ---------------------------------------------------------------------------------


async def test_without_a_usable_provider_readiness_is_a_503_with_the_reason(house: House) -> None:
    house.env_file.write_text("KEY=\n")
    async with await house.open() as gw:
        client = await gw.client()
        answer = await client.fetch("GET", "/ready")
        assert (answer.status, answer.json) == (503, {"status": "not_ready", "why": NONE_USABLE})
        assert (await client.fetch("GET", "/health")).status == 503
        assert (await client.fetch("GET", "/health/live")).status == 200
        for body in ({"model": "one", "messages": []}, {"messages": []}):
            refused = await client.fetch("POST", CHAT, json=body)
            assert (refused.status, refused.json["error"]["code"]) == (503, "no_provider")
            assert refused.json["error"]["message"] == NONE_USABLE
        assert await names(gw) == []
        house.env_file.write_text("KEY=found\n")
        assert await follow(gw).reload("test")
        assert (await client.fetch("GET", "/ready")).json == {"status": "ready"}
        assert await ask(gw, "one") == 200


async def test_the_start_line_says_that_no_provider_is_usable() -> None:
    async with GatewayProcess({"providers": {}}) as gw:
        assert f"NOT READY: {NONE_USABLE}" in gw.lines[-1]


async def test_key_cooldowns_and_learned_facts_survive_a_reload(house: House, up: Upstream) -> None:
    house.write(providers={"up": {"baseUrl": up.url, "apiKeys": ["bad", "good"]}})
    async with await house.open() as gw:
        before = gw.app.gateway.catalog.providers["up"]  # type: ignore[union-attr]
        bad = before.keys.take(0.0)
        assert bad is not None
        before.keys.cool_down(bad, 1e12)
        before.learnt.asks_usage = False
        house.write(routing={"maxRetries": 2})
        await follow(gw).reload("test")
        after = gw.app.gateway.catalog.providers["up"]  # type: ignore[union-attr]
        assert after is not before
        assert not after.learnt.asks_usage
        taken = [after.keys.take(1.0) for _ in range(4)]
        assert {key and key.number for key in taken} == {1}
