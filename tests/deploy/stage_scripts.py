"""The scripts of ``deploy/scripts`` with real gateways: what all of them do, start and stop."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator

import pytest

from tests.deploy.site import CALL, CHAT, SCRIPTS, new_site
from tests.support import Upstream, Wait, chat_events, completion, json_answer, sse_answer
from tests.support.client import RawClient

NAMES = sorted(path.name for path in SCRIPTS.glob("*.sh") if path.name != "common.sh")
SHELLS = ("dash", "bash")


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hi")))
        yield upstream


# -- all scripts


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", NAMES)
def test_a_script_explains_itself_and_refuses_what_it_does_not_know(name: str, shell: str) -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([shell, SCRIPTS / name, *args], capture_output=True, text=True, timeout=60)

    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(name)
    wrong = run("--no-such-option")
    # 2 would be CRITICAL for a plugin of Nagios.
    assert (wrong.returncode, wrong.stdout) == (3 if name == "health-monitor.sh" else 2, "")
    assert "--help explains the options" in wrong.stderr


# -- start and stop


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_gateway_starts_once_and_stops(shell: str, up: Upstream) -> None:
    async with new_site(up, shell) as site:
        shown = await site.succeeds("start.sh")
        assert f"ready at unix:{site.socket} (process {site.pid})" in shown
        assert (site.data / "sluice.log").stat().st_mode & 0o777 == 0o600
        first = site.pid
        assert f"runs already (process {first}" in await site.fails("start.sh")
        assert "something answers at unix:" in await site.fails("start.sh", "--pid-file", site.folder / "other.pid")
        assert site.pid == first
        assert await site.status_of(await site.new_key("a")) == 200
        assert "stopped after " in await site.succeeds("stop.sh")
        assert not site.pid_file.exists()
        assert "nothing to stop" in await site.succeeds("stop.sh")


async def test_stop_waits_for_a_running_stream(up: Upstream) -> None:
    go, events = asyncio.Event(), chat_events("Hello", " world")
    async with new_site(up) as site:
        await site.start()
        key = await site.new_key("a")
        head, *chunks = sse_answer(*events)
        up.on_head(lambda request: [head, *chunks[:2], Wait(go), *chunks[2:]])
        async with RawClient(str(site.socket)) as client:
            headers = [("Authorization", f"Bearer {key}")]
            await client.request("POST", CHAT, json=CALL | {"stream": True}, headers=headers)
            assert (await client.read_head()).status == 200
            stopping = await site.begin("stop.sh", "--wait", "60")
            await stopping.says("waiting up to 60 s")
            assert "still runs after 0 s; --kill" in await site.fails("stop.sh", "--wait", "0")
            go.set()
            assert await client.read_events() == events
        status, shown = await stopping.end()
        assert status == 0, shown
        assert "stopped after " in shown


async def test_stop_kills_only_by_option(up: Upstream) -> None:
    async with new_site(up) as site:
        await site.start()
        key, pid = await site.new_key("a"), site.pid
        up.on_head(lambda request: [Wait(asyncio.Event())])
        async with RawClient(str(site.socket)) as client:
            await client.request("POST", CHAT, json=CALL, headers=[("Authorization", f"Bearer {key}")])
            await up.head()
            await site.fails("stop.sh", "--wait", "0")
            assert site.pid == pid
            assert f"killed process {pid}" in await site.succeeds("stop.sh", "--wait", "0", "--kill")


async def test_stop_leaves_a_process_alone_that_is_no_gateway(up: Upstream) -> None:
    async with new_site(up) as site:
        site.data.mkdir()
        other = await asyncio.create_subprocess_exec("sleep", "600", cwd=site.folder)
        try:
            site.pid_file.write_text(f"{other.pid}\n")
            assert "is no gateway of this folder" in await site.succeeds("stop.sh")
            assert other.returncode is None
            assert not site.pid_file.exists()
        finally:
            other.kill()
            await other.wait()


async def test_a_gateway_that_does_not_start_leaves_no_pid_file(up: Upstream) -> None:
    async with new_site(up) as site:
        site.write({"models": [], "providers": {}, "nonsense": 1})
        assert "nonsense" in await site.fails("start.sh")
        taken = site.folder / "taken"
        taken.mkdir()  # so no socket can be there
        site.write({"models": [], "providers": {}, "demo": "auto", "server": {"unixSocket": str(taken)}})
        shown = await site.fails("start.sh")
        assert "cannot listen on" in shown
        assert "the gateway ended before it was ready" in shown
        assert not site.pid_file.exists()


async def test_a_gateway_that_is_not_ready_is_stopped_again(up: Upstream) -> None:
    async with new_site(up) as site:
        site.write({"models": [], "providers": {}})
        shown = await site.fails("start.sh", "--wait", "1")
        assert "was not ready after 1 s and is stopped again" in shown
        assert not site.pid_file.exists()
