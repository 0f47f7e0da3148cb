"""``health-monitor.sh``: real gateways that die, lose their provider and come back, and a real receiver of webhooks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.deploy.site import SLUICE, Site, new_site
from tests.support import Upstream, json_answer, until, within
from tests.support.ports import free_port

READY = {"models": [], "providers": {}, "demo": "auto"}
NOT_READY = {"models": [], "providers": {}}
QUIET = ("--disk-percent", "101")  # whatever the disk of this machine is
LOOP = ("--interval", "1", *QUIET)
TOKEN = "a-secret-of-the-path"


@pytest.fixture
async def receiver() -> AsyncIterator[Upstream]:
    """Takes webhooks."""
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer({}))
        yield upstream


@pytest.fixture
async def site(receiver: Upstream) -> AsyncIterator[Site]:
    async with new_site(receiver) as made:
        made.write(READY)
        yield made


def hook(receiver: Upstream) -> str:
    return f"{receiver.url}/{TOKEN}?a=[1]&b={{2}}"


async def told(receiver: Upstream, index: int) -> dict[str, Any]:
    """The webhook of this number."""
    request = await receiver.request(index)
    assert (request.method, request.header("content-type")) == ("POST", "application/json")
    assert request.target == f"/v1/{TOKEN}?a=[1]&b={{2}}"
    told: dict[str, Any] = request.json
    return told


async def once(site: Site, *args: str | Path, **environ: str) -> tuple[int, str]:
    status, shown = await site.run("health-monitor.sh", "--once", *QUIET, *args, **environ)
    return status, shown


def reload_with(site: Site, source: dict[str, Any]) -> None:
    site.write(source)
    os.kill(site.pid, 1)  # SIGHUP


async def comes_to_be_unready(site: Site) -> None:
    """Wait until the gateway has read its new configuration."""

    async def look() -> None:
        while (await site.fetch("GET", "/ready", "")).status != 503:
            pass

    await within(look(), "a 503 of /ready")


# -- one check


async def test_the_exit_status_is_that_of_a_plugin_of_nagios(site: Site) -> None:
    status, shown = await once(site)
    assert (status, shown.splitlines()[0][:45]) == (2, f"SLUICE CRITICAL - dead: unix:{site.socket}"[:45])
    await site.start()
    status, shown = await once(site)
    assert status == 0
    assert shown.startswith("SLUICE OK - ready, disk ")
    assert len(shown.splitlines()) == 1
    reload_with(site, NOT_READY)
    await comes_to_be_unready(site)
    status, shown = await once(site)
    assert (status, shown.startswith("SLUICE CRITICAL - not ready: ")) == (2, True)
    status, shown = await once(site, "--url", f"unix:{site.folder}/none")
    assert (status, shown.startswith("SLUICE CRITICAL - dead: ")) == (2, True)


async def test_a_full_disk_is_a_warning(site: Site) -> None:
    await site.start()
    status, shown = await site.run("health-monitor.sh", "--once", "--disk-percent", "0")
    assert (status, shown.startswith("SLUICE WARNING - ready, disk ")) == (1, True)


async def test_a_certificate_is_watched(site: Site) -> None:
    await site.succeeds("ssl-setup.sh", "self-signed", "localhost", "--days", "10")
    certificate, key = (site.folder / "certs" / name for name in ("fullchain.pem", "privkey.pem"))
    site.write(
        READY
        | {
            "server": {
                "unixSocket": "",
                "port": free_port(),
                "tls": {"certFile": str(certificate), "keyFile": str(key)},
            }
        }
    )
    await site.start()
    status, shown = await once(site)
    assert (status, "certificate expires at " in shown) == (1, True)
    status, shown = await once(site, "--cert-days", "5")
    assert (status, "certificate valid until " in shown) == (0, True)
    expired = trustme.CA().issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1))
    expired.cert_chain_pems[0].write_to_path(str(certificate))
    status, shown = await once(site)
    assert (status, "certificate expired at " in shown) == (2, True)
    certificate.write_text("no certificate")
    status, shown = await once(site)
    assert (status, f"{certificate} cannot be read as a certificate" in shown) == (1, True)


async def test_what_cannot_be_checked_is_unknown(site: Site) -> None:
    for args, message in (
        (("--no-such-option",), "unknown argument"),
        (("--interval", "0"), "--interval needs a number from 1"),
        (("--state-file", site.folder / "none" / "state"), "none/state cannot be written"),
    ):
        status, shown = await once(site, *args)
        assert (status, message in shown) == (3, True)
    for url, message in (
        ("ftp://host", "must begin with http"),
        ('http://host/"', "has a quote, a backslash or a space"),
    ):
        status, shown = await once(site, SLUICE_WEBHOOK_URL=url)
        assert (status, message in shown) == (3, True)
    assert (await once(site, SLUICE="/none"))[0] == 3
    site.config.write_text("nonsense: 1\n")
    status, shown = await once(site)
    assert (status, "the configuration has the mistakes above" in shown) == (3, True)


async def test_with_a_state_file_cron_reports_changes_only(site: Site, receiver: Upstream) -> None:
    state = site.folder / "the state"
    given = {"SLUICE_WEBHOOK_URL": hook(receiver)}
    options = ("--state-file", state)
    receiver.on(lambda request: json_answer({}, 500))
    assert (await once(site, *options, **given))[0] == 2
    assert (await told(receiver, 0))["state"] == "CRITICAL"
    # It was not taken, so the next run reports it again; the one after that does not.
    receiver.on(lambda request: json_answer({}))
    for _ in range(2):
        assert (await once(site, *options, **given))[0] == 2
    assert (await told(receiver, 1))["previous"] == "OK"
    assert state.read_text() == "CRITICAL\n"
    await site.start()
    for _ in range(2):
        assert (await once(site, *options, **given))[0] == 0
    back = await told(receiver, 2)
    assert (back["previous"], back["state"], back["host"]) == ("CRITICAL", "OK", os.uname().nodename)
    assert back["text"].startswith("Sluice is OK: ready, disk ")
    assert len(receiver.requests) == 3


# -- as a service


async def test_each_change_is_reported_once(site: Site, receiver: Upstream) -> None:
    """Also that a message with quotes is valid JSON, and that the webhook's address is on no command line."""
    await site.start()
    log = site.folder / "changes"
    command = f'printf "%s %s %s\\n" "$SLUICE_PREVIOUS" "$SLUICE_STATE" "$SLUICE_MESSAGE" >>"{log}"'
    monitor = await site.begin("health-monitor.sh", *LOOP, "--command", command, SLUICE_WEBHOOK_URL=hook(receiver))
    await monitor.says("checks the gateway every 1 s")
    assert TOKEN not in monitor.command_line

    reload_with(site, NOT_READY)
    first = await told(receiver, 0)
    assert (first["previous"], first["state"]) == ("OK", "CRITICAL")
    assert "not ready: " in first["text"]
    assert '"' in first["text"]  # the gateway's answer
    reload_with(site, READY)
    second = await told(receiver, 1)
    assert (second["previous"], second["state"]) == ("CRITICAL", "OK")
    await site.stop()
    third = await told(receiver, 2)
    assert (third["previous"], third["state"]) == ("OK", "CRITICAL")
    assert "dead: " in third["text"]
    assert not site.pid_file.exists()  # nothing was restarted

    monitor.terminate()
    status, shown = await monitor.end()
    assert (status, shown.endswith("stopped\n")) == (0, True)
    lines = log.read_text().splitlines()
    assert [line.split(" ")[:2] for line in lines] == [["OK", "CRITICAL"], ["CRITICAL", "OK"], ["OK", "CRITICAL"]]
    assert len(receiver.requests) == 3


async def test_a_webhook_that_fails_is_called_again_after_growing_gaps(site: Site, receiver: Upstream) -> None:
    """Gaps are counted in checks, which a wrapper around the program writes down."""
    checks = site.folder / "checks"
    wrapper = site.folder / "sluice"
    wrapper.write_text(f'#!/bin/sh\n[ "$*" != "health --ready" ] || echo check >>"{checks}"\nexec "{SLUICE}" "$@"\n')
    wrapper.chmod(0o755)
    seen: list[int] = []

    def answer(request: object) -> Any:
        seen.append(len(checks.read_text().splitlines()))
        return json_answer({}, 500 if len(seen) < 4 else 200)

    receiver.on(answer)
    given = {"SLUICE_WEBHOOK_URL": hook(receiver), "SLUICE": str(wrapper)}
    monitor = await site.begin("health-monitor.sh", *LOOP, **given)
    for index in range(4):
        await told(receiver, index)
    await until(lambda: len(checks.read_text().splitlines()) >= 11, "more checks")
    assert seen == [2, 3, 5, 9]  # the second check confirms the first
    assert monitor.output.count("the webhook did not take the change") == 3


async def test_a_dead_gateway_is_restarted_if_that_is_wanted(site: Site, receiver: Upstream) -> None:
    await site.start()
    start = f"'{site.scripts}/start.sh' --config '{site.config}' --dir '{site.folder}' --wait 60"
    monitor = await site.begin(
        "health-monitor.sh", *LOOP, "--restart", f"{start}; exit 3", SLUICE_WEBHOOK_URL=hook(receiver)
    )
    await monitor.says("checks the gateway")
    reload_with(site, NOT_READY)
    assert (await told(receiver, 0))["state"] == "CRITICAL"
    assert "running: " not in monitor.output  # it lives
    reload_with(site, READY)
    assert (await told(receiver, 1))["state"] == "OK"
    first = site.pid
    os.kill(first, 9)
    assert (await told(receiver, 2))["state"] == "CRITICAL"
    assert (await told(receiver, 3))["state"] == "OK"
    assert site.pid != first
    assert monitor.output.count("the gateway is dead; running: ") == 1
    assert "--restart ended with status 3" in monitor.output


async def test_one_check_restarts_too_but_not_with_a_broken_configuration(site: Site) -> None:
    marker = site.folder / "restarted"
    restart = ("--restart", f"touch '{marker}'")
    await site.start()
    site.config.write_text("server: [\nmy: broken\n")
    # The running gateway keeps its configuration; where it listens cannot be known.
    status, _ = await once(site, *restart)
    assert (status, marker.exists()) == (3, False)
    site.write(READY)
    assert (await once(site, *restart))[0] == 0
    assert not marker.exists()
    await site.stop()
    status, shown = await once(site, *restart)
    assert (status, marker.exists()) == (2, True)
    assert shown.startswith("SLUICE CRITICAL - dead")


async def test_a_configuration_that_breaks_later_restarts_nothing(site: Site, receiver: Upstream) -> None:
    marker = site.folder / "restarted"
    await site.start()
    monitor = await site.begin(
        "health-monitor.sh", *LOOP, "--restart", f"touch '{marker}'", SLUICE_WEBHOOK_URL=hook(receiver)
    )
    await monitor.says("checks the gateway")
    site.config.write_text("server: [\n")
    first = await told(receiver, 0)
    assert first["state"] == "UNKNOWN"
    assert "cannot be checked, since the configuration has mistakes: " in first["text"]
    site.write(READY)
    assert (await told(receiver, 1))["state"] == "OK"
    assert not marker.exists()
