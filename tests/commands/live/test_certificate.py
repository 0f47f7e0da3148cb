"""The listener's certificate: usable, expiring, expired, or not that of its key."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import trustme

from proxy.commands.live.certificate import certificate, client_ca
from proxy.commands.live.finding import Finding
from proxy.config.schema import ListenTls
from tests.support import Authority


async def ca(path: Path) -> Finding:
    (found,) = await client_ca(ListenTls("c.pem", client_ca=str(path)))
    return found


def ca_of(folder: Path, *days: float) -> Path:
    """A bundle of CAs that expire in so many days."""
    path = folder / "ca.pem"
    path.write_bytes(b"".join(Authority.expiring(each) for each in days))
    return path


@pytest.mark.parametrize(
    ("days", "level", "shown"),
    [
        ((90.5, 30.5), "ok", "2 of 2 CA certificates are valid, for 90 more days"),
        ((90.5, -1), "warning", "1 of 2 CA certificates are valid, for 90 more days; renew them"),
        ((1.5,), "warning", "1 of 1 CA certificates are valid, for 1 more day; renew them"),
        ((-1,), "FAILED", "no valid CA certificate, so no client can connect"),
    ],
)
async def test_the_ca_of_clients_is_judged(days: tuple[float, ...], level: str, shown: str, tmp_path: Path) -> None:
    found = await ca(ca_of(tmp_path, *days))
    assert (found.name, found.level) == ("server.tls.clientCa", level)
    assert shown in found.text


async def test_a_ca_that_cannot_be_read_fails(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name, reason in (("ca.pem", "it has no certificate"), ("none.pem", "No such file")):
        found = await ca(tmp_path / name)
        assert found.level == "FAILED"
        assert f"{name} cannot be used: {reason}" in found.text


def files(folder: Path, days: float, name: str = "c") -> ListenTls:
    """A certificate for gateway.test that expires in ``days``."""
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    issued = trustme.CA().issue_cert("gateway.test", not_after=expires)
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return ListenTls(str(chain), str(key))


async def judged(tls: ListenTls) -> Finding:
    (found,) = await certificate(tls)
    return found


@pytest.mark.parametrize(("days", "level", "shown"), [(90.5, "ok", "90 more days"), (1.5, "warning", "1 more day;")])
async def test_the_days_that_are_left(days: float, level: str, shown: str, tmp_path: Path) -> None:
    found = await judged(files(tmp_path, days))
    assert found.level == level
    assert "c.pem and its key match, for gateway.test, valid for " + shown in found.text


async def test_an_expired_certificate_fails(tmp_path: Path) -> None:
    found = await judged(files(tmp_path, -1))
    assert found.level == "FAILED"
    assert "c.pem: certificate has expired; renew the certificate" in found.text


async def test_the_key_of_another_certificate_and_a_missing_file_fail(tmp_path: Path) -> None:
    one, other = files(tmp_path, 90), files(tmp_path, 90, "d")
    for wrong in (ListenTls(one.cert_file, other.key_file), ListenTls(str(tmp_path / "none.pem"))):
        found = await judged(wrong)
        assert found.level == "FAILED"
        assert found.text.startswith("the certificate cannot be used: ")
