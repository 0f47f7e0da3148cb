"""The ledger of a gateway, as its configuration opens it: records in a spool on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.ledger import opening
from proxy.ledger.recorder.folders import lock_recorder
from proxy.ledger.row import Opened, Row, decode_closed, decode_opened
from proxy.ledger.spool.folder import spool_folder
from proxy.ledger.spool.format import CLOSE, OPEN
from proxy.ledger.spool.place import SpoolUnavailable
from proxy.ledger.spool.reader import SpoolReader
from tests.support import Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider
from tests.support.ports import free_port
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def keeping(up: Upstream, folder: Path, **sections: Any) -> Gateway:
    return Gateway(one_provider(up, ledger={"enabled": True}, dataDir=str(folder)) | sections)


def recorded(folder: Path) -> tuple[list[Opened], list[Row]]:
    """The records in the spool."""
    reader = SpoolReader(spool_folder(folder), print)
    records = [record for batch in reader.read() for record in batch.records]
    reader.close()
    opened = [decode_opened(payload) for kind, payload in records if kind == OPEN]
    return opened, [decode_closed(payload) for kind, payload in records if kind == CLOSE]


async def test_each_attempt_is_in_the_spool_twice(tmp_path: Path) -> None:
    spool_folder(tmp_path).mkdir()
    lock = lock_recorder(spool_folder(tmp_path))  # so that no recorder takes them
    assert lock is not None
    async with Upstream() as up, keeping(up, tmp_path) as gw:
        up.on(lambda request: json_answer(completion()))
        client = await gw.client()
        for _ in range(2):
            assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        await gw.settled(2)
        opened, closed = recorded(tmp_path)
        assert [each.row.id for each in opened] == [row.id for row in closed]
        assert len({row.id for row in closed}) == 2
        assert [row.end for row in closed] == ["ok", "ok"]
        assert gw.app.plane.health.components()["ledger"].status == "up"
    lock.release()


@pytest.mark.parametrize("size", [10, 20_000, 100_000, 2_000_000])
async def test_records_are_in_the_spool_before_anything_is_sent(size: int, tmp_path: Path) -> None:
    """The open record before the request, on new connections and kept ones; the close record before the answer."""
    spool_folder(tmp_path).mkdir()
    lock = lock_recorder(spool_folder(tmp_path))
    assert lock is not None
    counts: list[int] = []

    def answer(request: object) -> list[Step | bytes]:
        counts.append(len(recorded(tmp_path)[0]) - len(up.requests))
        return json_answer(completion())

    call = {"model": "m", "messages": [{"role": "user", "content": "x" * size}]}
    async with Upstream() as up, keeping(up, tmp_path) as gw:
        up.on(answer)
        clients = [await gw.client() for _ in range(3)]
        for number in range(1, 4):
            for client in clients:
                await client.request("POST", CHAT, json=call)
            for client in clients:
                assert (await client.read_answer()).status == 200
            assert len(recorded(tmp_path)[1]) == 3 * number
        assert len(counts) == 9
        assert min(counts) >= 0
    lock.release()


@pytest.mark.parametrize("section", ["ledger", "database"])
async def test_a_ledger_may_be_off(section: str, tmp_path: Path) -> None:
    async with Upstream() as up, keeping(up, tmp_path, **{section: {"enabled": False}}) as gw:
        up.on(lambda request: json_answer(completion()))
        client = await gw.client()
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        assert "ledger" not in gw.app.plane.health.components()
    assert not spool_folder(tmp_path).exists()
    assert not [line for line in gw.log_lines if "ledger" in line]


async def test_with_a_broker_no_database_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.database.address.find_spec", lambda name: None)
    where = {"ledger": {"enabled": True, "mode": "events"}, "events": {"url": f"amqp://127.0.0.1:{free_port()}"}}
    async with Upstream() as up, keeping(up, tmp_path, database={"enabled": False}, **where) as gw:
        up.on(lambda request: json_answer(completion()))
        client = await gw.client()
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        assert gw.app.plane.health.components()["ledger"].status == "up"
        opened, closed = recorded(tmp_path)
        assert [each.row.id for each in opened] == [row.id for row in closed]
        assert len(closed) == 1


@pytest.mark.parametrize("mode", ["database", "events"])
async def test_without_the_package_of_the_broker_no_gateway_starts(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.events.broker.opening.find_spec", lambda name: None)
    where = {"ledger": {"enabled": True, "mode": mode}, "events": {"url": "amqp://127.0.0.1:1,amqp://127.0.0.1:2"}}
    async with Upstream() as up:
        with pytest.raises(ConfigError) as caught:
            await keeping(up, tmp_path, **where).app.start()
    assert caught.value.mistakes == [
        "events.url needs a package that is not installed: pip install 'sluice-gateway[amqp]'"
    ]
    assert not spool_folder(tmp_path).exists()


async def test_a_reload_that_needs_a_missing_package_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Upstream() as up, keeping(up, tmp_path) as gw:
        monkeypatch.setattr("proxy.events.broker.opening.find_spec", lambda name: None)
        changed = keeping(up, tmp_path, events={"url": "amqp://127.0.0.1:1"}).config
        with pytest.raises(ConfigError, match="package"):
            gw.app._adopt(changed, gw.app.running.catalog)
        assert not gw.app._storage.receivers


async def test_without_its_packages_none_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.database.address.find_spec", lambda name: None)
    await _serves_without(tmp_path, "sluice-gateway[database]")


async def test_without_a_spool_none_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise SpoolUnavailable("Nothing can be written.")

    monkeypatch.setattr(opening, "SpoolWriter", unavailable)
    await _serves_without(tmp_path, "Nothing can be written.")


async def _serves_without(folder: Path, why: str, **sections: Any) -> None:
    async with Upstream() as up, keeping(up, folder, **sections) as gw:
        up.on(lambda request: json_answer(completion()))
        client = await gw.client()
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        assert len([line for line in gw.log_lines if why in line]) == 1
