"""The paths of a configuration, for scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.commands.paths import lines
from proxy.config.loader import load

CONFIG = """\
modelsFile: ./models.yaml
dataDir: /srv/sluice data
server: {port: 8443, drainSecs: 2.5, tls: {certFile: cert.pem, keyFile: key.pem}}
auth: {mode: jwt, jwt: {publicKeyFile: jwt.pem}}
providers:
  up: {baseUrl: "https://up.example.org", apiKey: k, tls: {caFile: ca.pem}}
"""


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("models.yaml", "cert.pem", "key.pem", "jwt.pem", "ca.pem", ".env"):
        (tmp_path / name).write_text("")


def test_every_file_that_the_configuration_names_is_listed_once(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG)
    found = list(lines(load(Path("c.yaml"), {}), None))
    assert found[:10] == [
        f"config={tmp_path}/c.yaml",
        "data=/srv/sluice data",
        "admin_token=/srv/sluice data/admin-token",
        "database=sqlite",
        "database_at=/srv/sluice data/sluice.db",
        "address=https://127.0.0.1:8443",
        "port=8443",
        "admin_port=0",
        f"certificate={tmp_path}/cert.pem",
        "drain_secs=2.5",
    ]
    names = ["c.yaml", ".env", "models.yaml", "ca.pem", "jwt.pem", "cert.pem", "key.pem"]
    assert sorted(found[10:]) == sorted(f"file={tmp_path}/{name}" for name in names)


def test_a_list_at_a_url_is_no_file_and_no_password_is_shown(tmp_path: Path) -> None:
    text = "modelsFile: https://example.org/models.yaml\nadmin: {token: the-token-of-a-test}\n"
    (tmp_path / "c.yaml").write_text(text + "database: {url: 'postgresql://me:secret@host/keys'}\n")
    found = list(lines(load(Path("c.yaml"), {}), Path("my.env")))
    assert "database=postgresql" in found
    assert "database_at=postgresql://host/keys" in found
    assert "admin_token=" in found
    assert found[10:] == [f"file={tmp_path}/c.yaml", f"file={tmp_path}/my.env"]


@pytest.mark.parametrize(("listen", "port"), [("[::1]:9090", 9090), ("0.0.0.0:9091", 9091), ("unix:/run/admin", 0)])
def test_the_port_of_the_control_plane(listen: str, port: int, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"admin: {{listen: '{listen}'}}\n")
    assert f"admin_port={port}" in list(lines(load(Path("c.yaml"), {}), None))
