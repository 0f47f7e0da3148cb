"""The fake agent against an outside client, py-consul, with that client's own calls."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import consul as py_consul
import pytest
import pytest_asyncio
from consul.exceptions import ACLPermissionDenied, ClientError, ConsulException, NotFound

from tests.support.consul import FakeConsul
from tests.support.patience import until, within
from tests.support.tls import Authority

Call = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture
async def agent() -> AsyncIterator[FakeConsul]:
    async with FakeConsul() as agent:
        yield agent


def client_of(agent: FakeConsul, **options: Any) -> py_consul.Consul:
    return py_consul.Consul(host="127.0.0.1", port=agent.port, **options)


@pytest.fixture
def client(agent: FakeConsul) -> py_consul.Consul:
    return client_of(agent)


async def call(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A call of the client, which blocks its thread."""
    return await within(asyncio.to_thread(function, *args, **options), "py-consul")


async def waiting(agent: FakeConsul, function: Callable[..., Any], *args: Any, **options: Any) -> asyncio.Task[Any]:
    """A call whose blocking query has reached the agent and waits."""
    before = agent.api.waiting
    task = asyncio.get_running_loop().create_task(call(function, *args, **options))
    await until(lambda: agent.api.waiting > before, "the query to block")
    return task


# KV


async def test_a_key_is_put_read_and_deleted(client: py_consul.Consul) -> None:
    index, found = await call(client.kv.get, "foo")
    assert found is None
    assert int(index) > 0
    assert await call(client.kv.put, "foo", "bar", flags=42) is True
    index, found = await call(client.kv.get, "foo")
    assert (found["Key"], found["Value"], found["Flags"], found["LockIndex"]) == ("foo", b"bar", 42, 0)
    assert int(index) == found["ModifyIndex"] == found["CreateIndex"]
    assert await call(client.kv.delete, "foo") is True
    assert (await call(client.kv.get, "foo"))[1] is None


async def test_an_empty_value_is_null(client: py_consul.Consul) -> None:
    await call(client.kv.put, "folder/", None)
    assert (await call(client.kv.get, "folder/"))[1]["Value"] is None


async def test_keys_are_listed_with_a_separator(client: py_consul.Consul) -> None:
    for key in ("a/1", "a/b/1", "a/b/2", "c"):
        await call(client.kv.put, key, "x")
    _, found = await call(client.kv.get, "a/", recurse=True)
    assert [each["Key"] for each in found] == ["a/1", "a/b/1", "a/b/2"]
    _, keys = await call(client.kv.get, "a/", keys=True, separator="/")
    assert keys == ["a/1", "a/b/"]
    assert (await call(client.kv.get, "nothing/", recurse=True))[1] is None
    await call(client.kv.delete, "a/b/", recurse=True)
    assert (await call(client.kv.get, "", keys=True))[1] == ["a/1", "c"]


async def test_check_and_set_needs_the_index_of_the_key(client: py_consul.Consul) -> None:
    assert await call(client.kv.put, "foo", "1", cas=10) is False
    assert await call(client.kv.put, "foo", "1", cas=0) is True
    assert await call(client.kv.put, "foo", "2", cas=0) is False
    modified = (await call(client.kv.get, "foo"))[1]["ModifyIndex"]
    assert await call(client.kv.put, "foo", "2", cas=modified) is True
    assert await call(client.kv.delete, "foo", cas=modified) is False
    modified = (await call(client.kv.get, "foo"))[1]["ModifyIndex"]
    assert await call(client.kv.delete, "foo", cas=modified) is True


async def test_the_same_value_again_is_no_change(client: py_consul.Consul) -> None:
    await call(client.kv.put, "foo", "1")
    before = await call(client.kv.get, "foo")
    await call(client.kv.put, "foo", "1")
    assert await call(client.kv.get, "foo") == before


async def test_a_blocking_query_returns_after_a_write(agent: FakeConsul, client: py_consul.Consul) -> None:
    index, _ = await call(client.kv.get, "foo")
    task = await waiting(agent, client.kv.get, "foo", index=index)
    await call(client.kv.put, "foo", "bar")
    later, found = await task
    assert found["Value"] == b"bar"
    assert int(later) > int(index)


async def test_a_blocking_query_of_a_prefix_ignores_other_keys(agent: FakeConsul, client: py_consul.Consul) -> None:
    await call(client.kv.put, "a/1", "x")
    index, _ = await call(client.kv.get, "a/", recurse=True)
    task = await waiting(agent, client.kv.get, "a/", index=index, recurse=True)
    await call(client.kv.put, "b/1", "x")
    await call(client.kv.put, "a/2", "x")
    later, found = await task
    assert [each["Key"] for each in found] == ["a/1", "a/2"]
    assert int(later) == found[1]["ModifyIndex"]


async def test_the_index_of_a_prefix_grows_by_a_deletion(agent: FakeConsul, client: py_consul.Consul) -> None:
    await call(client.kv.put, "a/1", "x")
    index, _ = await call(client.kv.get, "a/", recurse=True)
    task = await waiting(agent, client.kv.get, "a/", index=index, recurse=True)
    await call(client.kv.delete, "a/1")
    later, found = await task
    assert found is None
    assert int(later) > int(index)


async def test_the_index_of_a_prefix_goes_back_when_tombstones_are_reaped(
    agent: FakeConsul, client: py_consul.Consul
) -> None:
    await call(client.kv.put, "a/1", "x")
    first, _ = await call(client.kv.get, "a/", recurse=True)
    await call(client.kv.put, "a/2", "x")
    await call(client.kv.delete, "a/2")
    deleted, _ = await call(client.kv.get, "a/", recurse=True)
    assert int(deleted) > int(first)
    agent.api.kv.reap()
    assert (await call(client.kv.get, "a/", recurse=True))[0] == first


async def test_a_wait_ends_without_a_change(agent: FakeConsul, client: py_consul.Consul) -> None:
    await call(client.kv.put, "foo", "bar")
    before = await call(client.kv.get, "foo")
    assert await call(client.kv.get, "foo", index=before[0], wait="10ms") == before


@pytest.mark.parametrize("key", ["a b", "a:b", "app.js", "a../b", "notes.txt"])
async def test_keys_that_consul_refuses_are_refused(client: py_consul.Consul, key: str) -> None:
    with pytest.raises(ConsulException, match="400"):
        await call(client.kv.put, key, "x")


async def test_a_value_that_is_too_large_is_refused(client: py_consul.Consul) -> None:
    with pytest.raises(ClientError, match="413"):
        await call(client.kv.put, "foo", b"x" * (512 * 1024 + 1))


def operation(verb: str, key: str, value: str = "", **more: Any) -> dict[str, Any]:
    return {"KV": {"Verb": verb, "Key": key, "Value": base64.b64encode(value.encode()).decode(), **more}}


async def test_a_transaction_is_whole_or_not_at_all(client: py_consul.Consul) -> None:
    done = await call(client.txn.put, [operation("set", "a", "1"), operation("cas", "b", "2", Index=0)])
    assert [each["KV"]["Key"] for each in done["Results"]] == ["a", "b"]
    assert done["Results"][0]["KV"]["ModifyIndex"] == done["Results"][1]["KV"]["ModifyIndex"]
    with pytest.raises(ClientError, match=r"409.*index is stale"):
        await call(client.txn.put, [operation("set", "a", "3"), operation("cas", "b", "4", Index=0)])
    assert (await call(client.kv.get, "a"))[1]["Value"] == b"1"


async def test_a_transaction_reads_and_checks(client: py_consul.Consul) -> None:
    await call(client.kv.put, "a", "1")
    modified = (await call(client.kv.get, "a"))[1]["ModifyIndex"]
    got = await call(
        client.txn.put,
        [operation("check-index", "a", Index=modified), operation("check-not-exists", "b"), operation("get", "a")],
    )
    assert base64.b64decode(got["Results"][-1]["KV"]["Value"]) == b"1"
    with pytest.raises(ClientError, match="409"):
        await call(client.txn.put, [operation("check-index", "a", Index=1), operation("delete", "a")])
    with pytest.raises(ClientError, match="413"):
        await call(client.txn.put, [operation("get-or-empty", "a")] * 65)


# sessions


async def test_a_lock_belongs_to_one_session(client: py_consul.Consul) -> None:
    one, two = await call(client.session.create, name="one"), await call(client.session.create, lock_delay=0)
    assert await call(client.kv.put, "lock", "1", acquire=one) is True
    assert await call(client.kv.put, "lock", "1", acquire=one) is True
    assert await call(client.kv.put, "lock", "2", acquire=two) is False
    _, held = await call(client.kv.get, "lock")
    assert (held["Session"], held["LockIndex"]) == (one, 1)
    assert await call(client.kv.put, "lock", "3", release=two) is False
    assert await call(client.kv.put, "lock", "3", release=one) is True
    assert await call(client.kv.put, "lock", "2", acquire=two) is True
    assert (await call(client.kv.get, "lock"))[1]["LockIndex"] == 2


async def test_a_destroyed_session_delays_the_lock(agent: FakeConsul, client: py_consul.Consul) -> None:
    one, two = await call(client.session.create, lock_delay=20), await call(client.session.create)
    await call(client.kv.put, "lock", "1", acquire=one)
    index, _ = await call(client.kv.get, "lock")
    task = await waiting(agent, client.kv.get, "lock", index=index)
    assert await call(client.session.destroy, one) is True
    assert "Session" not in (await task)[1]
    assert await call(client.kv.put, "lock", "2", acquire=two) is False
    agent.api.ticker.advance(20)
    assert await call(client.kv.put, "lock", "2", acquire=two) is True


async def test_a_session_that_deletes_takes_its_keys_along(client: py_consul.Consul) -> None:
    session = await call(client.session.create, behavior="delete")
    await call(client.kv.put, "own", "1", acquire=session)
    await call(client.session.destroy, session)
    assert (await call(client.kv.get, "own"))[1] is None


async def test_a_session_ends_after_twice_its_ttl(agent: FakeConsul, client: py_consul.Consul) -> None:
    session = await call(client.session.create, ttl=10)
    agent.api.ticker.advance(12)
    assert (await call(client.session.renew, session))["ID"] == session
    agent.api.ticker.advance(12)
    assert (await call(client.session.info, session))[1]["ID"] == session
    agent.api.ticker.advance(20)
    assert (await call(client.session.list))[1] == []
    with pytest.raises(NotFound):
        await call(client.session.renew, session)


async def test_a_session_ends_with_its_check(agent: FakeConsul, client: py_consul.Consul) -> None:
    await call(client.agent.service.register, "web", check=py_consul.Check.ttl("10s"))
    await call(client.agent.check.ttl_pass, "service:web")
    session = await call(client.session.create, checks=["serfHealth", "service:web"])
    agent.api.ticker.advance(11)
    assert (await call(client.session.info, session))[1] is None


async def test_an_unknown_session_locks_nothing(client: py_consul.Consul) -> None:
    with pytest.raises(ConsulException, match="invalid session"):
        await call(client.kv.put, "lock", "1", acquire="5b7c0e8e-0000-4000-8000-000000000000")


# services


async def test_a_service_is_registered_found_and_deregistered(client: py_consul.Consul) -> None:
    assert await call(
        client.agent.service.register,
        "web",
        service_id="web-1",
        address="10.0.0.1",
        port=80,
        tags=["v1", "weight=2"],
        meta={"region": "eu"},
        weights={"Passing": 3, "Warning": 1},
        check=py_consul.Check.ttl("10s"),
    )
    _, found = await call(client.health.service, "web")
    assert found[0]["Service"]["Weights"] == {"Passing": 3, "Warning": 1}
    assert found[0]["Node"]["Address"] == "127.0.0.1"
    assert {each["CheckID"]: each["Status"] for each in found[0]["Checks"]} == {
        "serfHealth": "passing",
        "service:web-1": "critical",
    }
    assert (await call(client.health.service, "web", passing=True))[1] == []
    await call(client.agent.check.ttl_pass, "service:web-1", "fine")
    assert len((await call(client.health.service, "web", passing=True, tag="v1"))[1]) == 1
    assert (await call(client.health.service, "web", tag="v2"))[1] == []
    assert (await call(client.catalog.services))[1] == {"web": ["v1", "weight=2"]}
    assert (await call(client.catalog.service, "web"))[1][0]["ServicePort"] == 80
    assert list(await call(client.agent.services)) == ["web-1"]
    assert await call(client.agent.service.deregister, "web-1")
    assert (await call(client.health.service, "web"))[1] == []
    assert await call(client.agent.checks) == {}


async def test_a_query_of_a_service_blocks_until_its_health_changes(
    agent: FakeConsul, client: py_consul.Consul
) -> None:
    for name in ("web", "other"):
        await call(client.agent.service.register, name, check=py_consul.Check.ttl("10s"))
    index, _ = await call(client.health.service, "web", passing=True)
    task = await waiting(agent, client.health.service, "web", passing=True, index=index)
    await call(client.agent.check.ttl_pass, "service:other")  # of another service: the query goes on
    await call(client.agent.check.ttl_pass, "service:web")
    later, found = await task
    assert len(found) == 1
    assert int(later) > int(index)


async def test_the_index_of_an_unknown_service_can_be_waited_for(agent: FakeConsul, client: py_consul.Consul) -> None:
    index, found = await call(client.health.service, "web")
    assert found == []
    task = await waiting(agent, client.health.service, "web", index=index)
    await call(client.agent.service.register, "web", port=80)
    assert [each["Service"]["Port"] for each in (await task)[1]] == [80]


async def test_a_ttl_check_goes_critical_and_its_service_away(agent: FakeConsul, client: py_consul.Consul) -> None:
    check = {**py_consul.Check.ttl("10s"), "DeregisterCriticalServiceAfter": "1m"}
    await call(client.agent.service.register, "web", check=check)
    await call(client.agent.check.ttl_pass, "service:web")
    agent.api.ticker.advance(9)
    await call(client.agent.check.ttl_pass, "service:web")
    agent.api.ticker.advance(11)
    assert (await call(client.agent.checks))["service:web"]["Status"] == "critical"
    assert (await call(client.agent.checks))["service:web"]["Output"] == "TTL expired"
    agent.api.ticker.advance(30)
    assert list(await call(client.agent.services)) == ["web"]
    agent.api.ticker.advance(30)
    assert await call(client.agent.services) == {}


async def test_an_unknown_check_is_not_found(client: py_consul.Consul) -> None:
    assert await call(client.agent.check.ttl_pass, "service:nothing") is False


async def test_maintenance_makes_a_service_critical(client: py_consul.Consul) -> None:
    await call(client.agent.service.register, "web")
    await call(client.agent.service.maintenance, "web", "true", "repair")
    assert (await call(client.health.service, "web", passing=True))[1] == []
    await call(client.agent.service.maintenance, "web", "false")
    assert len((await call(client.health.service, "web", passing=True))[1]) == 1


async def test_an_external_node_is_registered_in_the_catalog(client: py_consul.Consul) -> None:
    service = {"Service": "db", "ID": "db-1", "Port": 5432}
    check = {"CheckID": "db", "Name": "db", "Status": "passing", "ServiceID": "db-1"}
    assert await call(client.catalog.register, "outside", "192.0.2.7", service=service, check=check)
    _, found = await call(client.health.service, "db", passing=True)
    assert (found[0]["Node"]["Address"], found[0]["Service"]["Address"]) == ("192.0.2.7", "")
    assert (await call(client.catalog.node, "outside"))[1]["Services"]["db-1"]["Port"] == 5432
    assert len((await call(client.catalog.nodes))[1]) == 2
    assert await call(client.catalog.deregister, "outside")
    assert (await call(client.health.service, "db"))[1] == []


async def test_an_http_check_follows_its_target(agent: FakeConsul, client: py_consul.Consul) -> None:
    async with FakeConsul() as target:
        check = py_consul.Check.http(f"{target.url}/v1/status/leader", "10ms")
        await call(client.agent.service.register, "web", check=check)
        await until(lambda: agent.checks()["service:web"]["Status"] == "passing", "the check to pass")
        target.fail("error")
        await until(lambda: agent.checks()["service:web"]["Status"] == "critical", "the check to fail")


# consistency, access, faults


async def test_stale_reads_go_on_without_a_leader(agent: FakeConsul, client: py_consul.Consul) -> None:
    agent.register("web", 80)
    agent.api.leader, agent.api.contact = False, 7.5
    with pytest.raises(ConsulException, match="No cluster leader"):
        await call(client.health.service, "web")
    async with aiohttp.ClientSession() as session, session.get(f"{agent.url}/v1/health/service/web?stale") as response:
        assert response.headers["X-Consul-KnownLeader"] == "false"
        assert response.headers["X-Consul-LastContact"] == "7500"
        assert len(await response.json()) == 1
    with pytest.raises(ConsulException, match="No path to datacenter"):
        await call(client.kv.get, "a", dc="elsewhere")


async def test_tokens_are_checked() -> None:
    async with FakeConsul(tokens=("secret",)) as agent:
        agent.register("web", 80)
        assert len((await call(client_of(agent, token="secret").health.service, "web"))[1]) == 1
        assert (await call(client_of(agent).health.service, "web"))[1] == []
        for token in ("wrong", None):
            with pytest.raises(ACLPermissionDenied):
                await call(client_of(agent, token=token).kv.put, "a", "b")


async def test_tls_is_spoken(tmp_path: Path) -> None:
    authority = Authority()
    async with FakeConsul(tls=authority.server_context()) as agent:
        trusted = str(authority.ca_file(tmp_path))
        client = py_consul.Consul(host="localhost", port=agent.port, scheme="https", verify=trusted)
        assert await call(client.status.leader) == "127.0.0.1:8300"


async def test_a_restored_snapshot_ends_queries_with_a_lower_index(agent: FakeConsul, client: py_consul.Consul) -> None:
    await call(client.kv.put, "a/1", "old")
    agent.snapshot()
    await call(client.kv.put, "a/1", "new")
    index, _ = await call(client.kv.get, "a/", recurse=True)
    task = await waiting(agent, client.kv.get, "a/", index=index, recurse=True)
    agent.restore()
    later, found = await task
    assert int(later) < int(index)
    assert found[0]["Value"] == b"old"


async def test_connections_beyond_the_limit_are_refused(agent: FakeConsul) -> None:
    agent.most_connections = 3
    session = aiohttp.ClientSession()
    async with session:
        waiting = [asyncio.ensure_future(session.get(f"{agent.url}/v1/kv/a?index=1000")) for _ in range(3)]
        await until(lambda: agent.api.waiting == 3, "three queries")
        async with session.get(f"{agent.url}/v1/kv/a") as response:
            assert response.status == 429
        agent.api.kv.put("a", b"x", index=1001)
        for each in waiting:
            assert (await within(each, "an answer")).status == 200


async def test_faults_are_made_and_healed(agent: FakeConsul, client: py_consul.Consul) -> None:
    agent.fail("error", times=1)
    with pytest.raises(ConsulException, match="500"):
        await call(client.kv.get, "a")
    await call(client.kv.put, "a", "b")
    agent.fail("cut", "/v1/kv/")
    agent.fail("silent", "/v1/status/")
    agent.fail("garbage", "/v1/catalog/")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(f"{agent.url}/v1/kv/a") as response:
                await response.read()
        async with session.get(f"{agent.url}/v1/catalog/nodes") as response:
            assert await response.text() == '[{"Node": 3'
    # aiohttp would send it again.
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.port)
    writer.write(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: agent.requests[-1] == "GET /v1/status/leader", "the request")
    agent.heal()
    with suppress(ConnectionResetError):
        assert await within(reader.read(), "the end of the connection") == b""
    writer.close()
    assert (await call(client.kv.get, "a"))[1]["Value"] == b"b"


async def test_the_agent_is_stopped_and_started(agent: FakeConsul, client: py_consul.Consul) -> None:
    await call(client.kv.put, "a", "b")
    index, _ = await call(client.kv.get, "a")
    task = await waiting(agent, client_of(agent).kv.get, "a", index=index)
    await agent.stop()
    with pytest.raises(OSError):
        await task
    await agent.start()
    assert (await call(client_of(agent).kv.get, "a"))[1]["Value"] == b"b"


async def test_an_agent_that_lost_its_data_knows_no_services(agent: FakeConsul, client: py_consul.Consul) -> None:
    agent.register("web", 80)
    agent.forget()
    assert await call(client.agent.services) == {}
