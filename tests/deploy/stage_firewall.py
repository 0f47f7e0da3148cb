"""``firewall-setup.sh``: real rules in a network namespace, tried by connections from another one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.deploy.network import V4, V6, Machines, two_machines
from tests.deploy.site import SCRIPTS, Site, new_site
from tests.support import Upstream

API, ADMIN, SSH, OTHER = 8080, 9090, 2222, 9999
LISTENERS = (80, 443, SSH, OTHER)
SESSION = f"10.77.0.2 50000 10.77.0.1 {SSH}"


@pytest.fixture
async def machines() -> AsyncIterator[Machines]:
    async with two_machines() as made:
        yield made


@pytest.fixture
async def site(machines: Machines) -> AsyncIterator[Site]:
    """A server with a gateway in reach of the other machine, by IPv4, and further listeners."""
    async with Upstream() as up, new_site(up) as made:
        server = {"unixSocket": "", "host": "0.0.0.0", "port": API}
        admin = {"listen": f"0.0.0.0:{ADMIN}"}
        made.write({"models": [], "providers": {}, "demo": "auto", "server": server, "admin": admin})
        made.prefix = machines.server
        await made.start()
        async with machines.listening(-API, -ADMIN, *LISTENERS):
            yield made


def rules_file(site: Site) -> Path:
    return site.folder / "rules" / "sluice.nft"


async def apply(site: Site, *args: str, **environ: str) -> str:
    return await site.succeeds("firewall-setup.sh", "--file", rules_file(site), *args, **environ)


async def refused(site: Site, *args: str | Path, **environ: str) -> str:
    return await site.fails("firewall-setup.sh", "--file", rules_file(site), *args, **environ)


async def test_other_machines_are_refused_at_the_ports_of_the_gateway(site: Site, machines: Machines) -> None:
    every = (API, ADMIN, *LISTENERS)
    for host in (V4, V6):
        assert await machines.open_ports(host, *every) == set(every)

    shown = await apply(site)
    assert f"closed port {API}, {ADMIN} except for this machine" in shown
    assert "to load it at boot" in shown
    for host in (V4, V6):
        found = await machines.ports(machines.peer, host, *every)
        assert {port for port, state in found.items() if state == "ECONNREFUSED"} == {API, ADMIN}
        assert {port for port, state in found.items() if state == "open"} == set(LISTENERS)
        assert set((await machines.ports(machines.server, host, *every)).values()) == {"open"}
    await site.succeeds("stop.sh")  # with the gateway still in reach of this machine
    await site.start()


async def test_a_network_may_be_allowed_and_rules_are_replaced_as_a_whole(site: Site, machines: Machines) -> None:
    await apply(site)
    first = await machines.rules()
    await apply(site, "--allow", "10.77.0.0/24", "--allow", "fd00:1::/32")
    assert await machines.open_ports(V4, API, ADMIN) == {API, ADMIN}
    assert await machines.open_ports(V6, API, ADMIN) == set()
    await apply(site, "--port", str(API), "--port", str(API))
    assert await machines.open_ports(V4, API, ADMIN) == {ADMIN}
    await apply(site)
    assert await machines.rules() == first


async def test_undo_removes_the_rules_and_nothing_else(site: Site, machines: Machines) -> None:
    await machines.run(*machines.server, "nft", "add table inet mine")
    before = await machines.rules()
    await apply(site, "--deny-others", SSH_CONNECTION=SESSION)
    shown = await apply(site, "--undo")
    assert "removed the table inet sluice" in shown
    assert f"removed {rules_file(site)}" in shown
    assert await machines.rules() == before
    assert await machines.open_ports(V4, API, OTHER) == {API, OTHER}
    assert "there is no table" in await apply(site, "--undo")


async def test_every_other_port_is_closed_by_option(site: Site, machines: Machines) -> None:
    every = (API, ADMIN, *LISTENERS)
    shown = await apply(site, "--deny-others", SSH_CONNECTION=SESSION)
    assert f"SSH ({SSH})" in shown
    for host in (V4, V6):
        found = await machines.ports(machines.peer, host, *every)
        assert {port for port, state in found.items() if state == "open"} == {443, SSH}
    await apply(site, "--deny-others", "--http", "--ssh-port", str(OTHER), SSH_CONNECTION=SESSION)
    assert await machines.open_ports(V4, *every) == {80, 443, SSH, OTHER}
    # Answers to what the server itself asks for still arrive.
    async with machines.listening(OTHER, prefix=machines.peer):
        found = await machines.ports(machines.server, "10.77.0.2", OTHER)
        assert found == {OTHER: "open"}


async def test_ssh_is_never_closed(site: Site, machines: Machines) -> None:
    before = await machines.rules()
    message = "so it is not closed; name the gateway's port"
    assert f"SSH uses port {SSH}, {message}" in await refused(site, "--port", str(SSH), SSH_CONNECTION=SESSION)
    assert f"SSH uses port 22, {message}" in await refused(site, "--port", "22")  # without any hint
    assert f"SSH uses port {OTHER}" in await refused(site, "--port", str(OTHER), "--ssh-port", str(OTHER))
    # What sshd itself says of its configuration.
    shims = site.folder / "bin"
    shims.mkdir()
    (shims / "sshd").write_text(f'#!/bin/sh\n[ "$*" = -T ] && printf "addressfamily any\\nport {OTHER}\\nport 23\\n"\n')
    (shims / "sshd").chmod(0o755)
    with_sshd = {"PATH": f"{shims}:{os.environ['PATH']}", "SSH_CONNECTION": SESSION}
    assert f"SSH uses port {OTHER}" in await refused(site, "--port", str(OTHER), **with_sshd)
    assert await machines.rules() == before
    await apply(site, "--deny-others", **with_sshd)
    assert await machines.open_ports(V4, *LISTENERS) == {443, SSH, OTHER}


async def test_what_cannot_be_done_is_refused_and_changes_nothing(site: Site, machines: Machines) -> None:
    before = await machines.rules()
    assert "nft does not accept the rules; nothing is changed" in await refused(site, "--allow", "10.0.0.0/99")
    assert "the gateway itself listens on 443" in await refused(site, "--port", "443")
    assert "the gateway itself listens on 80," in await refused(site, "--port", "80", "--http")
    assert not rules_file(site).exists()
    assert list(rules_file(site).parent.iterdir()) == []
    rules_file(site).write_text("table inet mine {}\n")
    for option in ((), ("--undo",), ("--dry-run",)):
        assert "is no file of this script" in await refused(site, *option)
    assert rules_file(site).read_text() == "table inet mine {}\n"
    assert await machines.rules() == before


async def test_the_rules_of_the_file_are_those_in_force(site: Site, machines: Machines) -> None:
    """As ``nftables.service`` loads them at boot."""
    await apply(site, "--deny-others")
    before = await machines.rules()
    dry = await apply(site, "--deny-others", "--dry-run")
    assert dry == rules_file(site).read_text()
    await machines.run(*machines.server, "nft", "flush ruleset")
    assert await machines.open_ports(V4, API) == {API}
    await machines.run(*machines.server, "nft", "--file", str(rules_file(site)))
    assert await machines.rules() == before
    assert await machines.open_ports(V4, API) == set()


async def test_a_table_of_others_that_drops_is_named(site: Site, machines: Machines) -> None:
    chain = "add chain inet mine input { type filter hook input priority 0; policy drop; }"
    await machines.run(*machines.server, "nft", f"add table inet mine; {chain}")
    assert "another table drops what it does not allow, so open 443" in await apply(site)


async def test_a_gateway_without_a_port_has_nothing_to_close() -> None:
    async with Upstream() as up, new_site(up) as site:
        assert "the gateway has no fixed port" in await refused(site, "--dry-run")


def test_rules_are_shown_without_root() -> None:
    script = str(SCRIPTS / "firewall-setup.sh")
    user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [*user, "sh", script, "--port", "8080", *args]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60)

    ran = run("--dry-run")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "tcp dport { 8080 } reject with tcp reset" in ran.stdout
    assert run().stderr == "firewall-setup.sh: this needs root: run it with sudo\n"
