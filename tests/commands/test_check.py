"""``sluice check --live`` as a user meets it; the rest of ``check`` is in ``tests/test_main.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.commands.check import _clients
from proxy.config.schema import Auth, Config, ConfiguredCertificate, ListenTls, ServerSettings
from tests.commands.running import Commands

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk-aVeryWellKeptSecret"


def check(folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", "check", "--config", "c.yaml", *options],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_prints_the_lines_after_its_own_and_fails_with_a_part(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "server: {port: 0}\nproviders: {up: {baseUrl: http://127.0.0.1:1/v1, apiKey: '${UP_KEY}'}}\n"
    )
    assert check(tmp_path, UP_KEY=SECRET).returncode == 0
    done = check(tmp_path, "--live", UP_KEY=SECRET)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    start = lines.index("live:")
    assert "providers:" in lines[:start]
    assert any(line.startswith("  FAILED   providers.up: http://127.0.0.1:1/v1: ") for line in lines[start:])
    assert lines[-1].endswith("1 failed")
    assert SECRET not in done.stdout


def test_the_command_succeeds_where_nothing_failed(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("server: {port: 0}\n")
    done = check(tmp_path, "--live")
    assert done.returncode == 0
    assert "ok       dataDir: data will be made" in done.stdout
    assert not (tmp_path / "data").exists()


def test_a_provider_shows_the_service_that_has_its_addresses(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "server: {port: 0}\nservices: {llm: {addresses: ['http://127.0.0.1:1']}}\n"
        "providers: {fleet: {baseUrl: service://llm/v1}, later: {baseUrl: service://none}}\n"
    )
    done = check(tmp_path, "--live")
    lines = done.stdout.splitlines()
    assert "  fleet  service://llm/v1 (1 configured address)  no key  takes any model name" in lines
    assert "  later  service://none (0 configured addresses)  no key  takes any model name" in lines
    assert 'notice: providers.later: no service "none" is configured; it has no address until one is added' in lines
    assert any(line.startswith("  FAILED   providers.fleet: http://127.0.0.1:1/v1: ") for line in lines)
    assert (
        "  warning  providers.later: service://none has no configured address; what is found at run time" in done.stdout
    )


def test_json_has_the_findings_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("server: {port: 0}\n")
    done = check(tmp_path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert [each["name"] for each in found] == ["python", "open files", "dataDir", "server"]
    assert all(set(each) == {"level", "name", "text"} for each in found)
    assert found[2]["text"].startswith("data will be made")
    (tmp_path / "c.yaml").write_text(
        "server: {port: 0, host: 0.0.0.0}\nproviders: {up: {baseUrl: http://127.0.0.1:1/v1, apiKey: '${UP_KEY}'}}\n"
    )
    done = check(tmp_path, "--live", "--json", UP_KEY=SECRET)
    assert (done.returncode, done.stderr) == (1, "")
    failures = [each["name"] for each in json.loads(done.stdout) if each["level"] == "FAILED"]
    assert failures == ["serve", "providers.up"]
    assert SECRET not in done.stdout


CA = ServerSettings(tls=ListenTls("c.pem", client_ca="ca.pem"))


@pytest.mark.parametrize(
    ("server", "auth", "expected"),
    [
        (ServerSettings(), Auth(), "anybody who can reach the address"),
        (CA, Auth(), "anybody who can reach the address and has a certificate of server.tls.clientCa"),
        (
            CA,
            Auth(mode="certificates", certificates=[ConfiguredCertificate("a")]),
            "client certificates (1 name in auth.certificates)",
        ),
        (
            CA,
            Auth(mode="jwt", certificates=[ConfiguredCertificate("a"), ConfiguredCertificate("b")]),
            "JSON Web Tokens or client certificates (2 names in auth.certificates)",
        ),
    ],
)
def test_the_credentials_of_clients_are_named(server: ServerSettings, auth: Auth, expected: str) -> None:
    assert _clients(Config(server=server, auth=auth)) == expected


@pytest.mark.parametrize(("url", "package", "extra"), [("amqp://h", "aiormq", "amqp"), ("nats://h", "nats", "nats")])
def test_a_package_for_the_broker_that_is_missing_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    url: str,
    package: str,
    extra: str,
) -> None:
    commands = Commands(tmp_path, monkeypatch, capfd, {"events": {"url": url}})
    assert commands.run("check").status == 0
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    done = commands.run("check")
    needed = f"events.url needs a package that is not installed: pip install 'sluice-gateway[{extra}]'"
    assert done.status == 1
    assert f"notice: serve refuses this: {needed}\n" in done.out
    status, out, _ = commands.run("check", "--json")
    assert status == 1
    assert [each["text"] for each in json.loads(out) if each["name"] == "events"] == [needed]
