"""``ssl-setup.sh``: certificates that a gateway and the nginx of compose.prod.yaml serve, and that are renewed."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.deploy.names import NameServer
from tests.deploy.production import listening, nginx_config, program_running
from tests.deploy.site import CALL, CHAT, Site, new_site
from tests.support import Authority, Upstream, Wait, chat_events, sse_answer, within
from tests.support.gateway import Process, one_provider
from tests.support.machine import debian_program, missing
from tests.support.ports import free_port
from tests.support.secure import SecureClient

DOMAIN = "gateway.example.org"


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def site(up: Upstream) -> AsyncIterator[Site]:
    async with new_site(up) as made:
        yield made


def files(site: Site) -> tuple[Path, Path]:
    """Certificate and key, where they are by default."""
    return site.folder / "certs" / "fullchain.pem", site.folder / "certs" / "privkey.pem"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def placed(site: Site) -> set[str]:
    """Names of the files in the folder, without the record of the script."""
    return {path.name for path in (site.folder / "certs").iterdir()} - {".ssl-setup.sha256"}


def gateway(site: Site, up: Upstream) -> Process:
    """It serves these files at a port of its own."""
    certificate, key = files(site)
    server = {"unixSocket": "", "tls": {"certFile": str(certificate), "keyFile": str(key)}}
    site.write(one_provider(up, server=server, auth={"mode": "none"}))
    return Process(["serve", "--config", str(site.config), "--port", "0"], folder=site.folder)


def openssl(*args: str | Path) -> str:
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, check=True).stdout


class OwnAuthority:
    """A certificate authority of an operator, by openssl."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self._key, self._folder = folder / "ca.pem", folder / "ca.key", folder
        options = ("-days", "30", "-nodes", "-keyout", self._key, "-out", self.certificate, "-subj", "/CN=Our CA")
        openssl("req", "-x509", "-newkey", "rsa:2048", *options)

    def sign(self, request: Path) -> Path:
        """The server's certificate, followed by that of the authority."""
        chain = self._folder / "answer.pem"
        options = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", "20")
        openssl("x509", "-req", "-in", request, *options, "-copy_extensions", "copy", "-out", chain)
        chain.write_text(chain.read_text() + self.certificate.read_text())
        return chain


async def signed(site: Site, authority: OwnAuthority) -> tuple[Path, Path]:
    """A certificate of the authority for a new key."""
    await site.succeeds("ssl-setup.sh", "request", "localhost", "127.0.0.1", "--force")
    folder = site.folder / "certs"
    return await asyncio.to_thread(authority.sign, folder / "request.csr"), folder / "request.key"


async def served(port: int) -> str:
    """The certificate that a client is shown."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port), timeout=30)


async def comes_to_serve(port: int, certificate: Path) -> None:
    """Wait until new connections get this certificate."""
    wanted = openssl("x509", "-in", certificate).strip()

    async def look() -> None:
        while (await served(port)).strip() != wanted:
            pass

    await within(look(), f"{certificate} at port {port}")


# -- a gateway


async def test_a_gateway_serves_a_self_signed_certificate(site: Site, up: Upstream) -> None:
    shown = await site.succeeds("ssl-setup.sh", "self-signed", "localhost", "127.0.0.1", "::1", "--days", "3")
    certificate, key = files(site)
    assert f"wrote {certificate} (valid until " in shown
    assert (mode(certificate), mode(key), mode(key.parent)) == (0o644, 0o600, 0o755)
    assert placed(site) == {"fullchain.pem", "privkey.pem"}
    trust = ssl.create_default_context(cafile=str(certificate))
    async with gateway(site, up) as running:
        async with SecureClient(running.port, trust) as client:  # as localhost
            assert (await client.fetch("GET", "/health/live")).status == 200
        shown = await site.succeeds("ssl-setup.sh", "check", "localhost", "127.0.0.1", "::1")
        assert "DNS:localhost, IP Address:127.0.0.1" in shown
        # A renewal replaces the files without further ado, and the gateway reads them.
        await site.succeeds(
            "ssl-setup.sh", "self-signed", "localhost", "--days", "90", "--reload", f"kill -HUP {running.pid}"
        )
        assert placed(site) == {"fullchain.pem", "privkey.pem"}
        await comes_to_serve(running.port, certificate)


async def test_a_certificate_of_an_authority_is_renewed_under_a_running_stream(site: Site, up: Upstream) -> None:
    authority = OwnAuthority(site.folder)
    await site.succeeds("ssl-setup.sh", "install", *await signed(site, authority))
    certificate, key = files(site)
    assert (mode(certificate), mode(key)) == (0o644, 0o600)
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    go, events = asyncio.Event(), chat_events("Hello", " world")
    head, *chunks = sse_answer(*events)
    up.on_head(lambda request: [head, *chunks[:2], Wait(go), *chunks[2:]])
    async with gateway(site, up) as running:
        async with SecureClient(running.port, trust) as client:
            await client.request("POST", CHAT, json=CALL | {"stream": True})
            assert (await client.read_head()).status == 200
            first = certificate.read_text()
            renewed = await signed(site, authority)
            await site.succeeds("ssl-setup.sh", "install", *renewed, "--reload", f"kill -HUP {running.pid}")
            assert certificate.read_text() != first
            await comes_to_serve(running.port, certificate)
            go.set()
            assert await client.read_events() == events
        async with SecureClient(running.port, trust) as client:
            assert (await client.fetch("GET", "/health/live")).status == 200


async def test_a_failed_reload_is_an_error_and_is_run_again(site: Site) -> None:
    authority = OwnAuthority(site.folder)
    pair = await signed(site, authority)
    shown = await site.fails("ssl-setup.sh", "install", *pair, "--reload", "exit 7")
    assert "the files are in place, but --reload ended with status 7: exit 7" in shown
    shown = await site.succeeds("ssl-setup.sh", "install", *pair, "--reload", "echo done")
    assert "is this certificate already" in shown
    assert "done\n" in shown


# -- what is refused


async def test_files_of_others_are_not_replaced(site: Site) -> None:
    certificate, key = files(site)
    certificate.parent.mkdir()
    for path in Authority().server_files(certificate.parent):
        path.rename(certificate if path.suffix == ".pem" else key)
    theirs = certificate.read_bytes(), key.read_bytes()
    for command in (("self-signed", "localhost"), ("install", certificate, key), ("acme", "localhost")):
        assert "has files that this script did not place; --force keeps them" in await site.fails(
            "ssl-setup.sh", *command
        )
        assert (certificate.read_bytes(), key.read_bytes()) == theirs
    await site.succeeds("ssl-setup.sh", "self-signed", "localhost", "--force")
    kept = sorted(certificate.parent.glob("*.before-*"))
    assert tuple(path.read_bytes() for path in kept) == theirs
    await site.succeeds("ssl-setup.sh", "check", "localhost")
    # Now they are this script's, until somebody changes one of them.
    await site.succeeds("ssl-setup.sh", "self-signed", "localhost")
    key.write_bytes(theirs[1])
    assert "did not place" in await site.fails("ssl-setup.sh", "self-signed", "localhost")
    assert f"{key} is not the key of {certificate}" in await site.fails("ssl-setup.sh", "check")


async def test_a_certificate_of_an_authority_is_not_lost_to_a_self_signed_one(site: Site) -> None:
    await site.succeeds("ssl-setup.sh", "self-signed", "localhost")
    await site.succeeds("ssl-setup.sh", "install", *await signed(site, OwnAuthority(site.folder)))
    shown = await site.fails("ssl-setup.sh", "self-signed", "localhost")
    assert "is of an authority; --force replaces it" in shown
    assert "request.key exists already" in await site.fails("ssl-setup.sh", "request", "localhost")


async def test_what_a_server_could_not_use_is_not_installed(site: Site) -> None:
    issuer = trustme.CA()
    expired = issuer.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1))
    good, other = issuer.issue_cert("localhost"), issuer.issue_cert("localhost")
    paths = {}
    for name, each in (("expired", expired), ("good", good), ("other", other)):
        chain, key = paths[name] = site.folder / f"{name} chain.pem", site.folder / f"{name} key.pem"
        each.cert_chain_pems[0].write_to_path(str(chain))
        each.private_key_pem.write_to_path(str(key))
    locked = site.folder / "locked.pem"
    openssl("pkey", "-in", paths["good"][1], "-aes256", "-passout", "pass:secret", "-out", locked)
    for certificate, key, message in (
        (*paths["expired"], "chain.pem expired at "),
        (paths["good"][0], paths["other"][1], "is not the key of"),
        (paths["good"][0], locked, "is no private key in PEM format without a password"),
        (site.config, paths["good"][1], "is no certificate in PEM format"),
        (site.folder / "none.pem", paths["good"][1], "there is no "),
    ):
        assert message in await site.fails("ssl-setup.sh", "install", certificate, key)
        assert placed(site) == set()
    await site.succeeds("ssl-setup.sh", "install", *paths["good"])


async def test_check_finds_what_is_wrong(site: Site) -> None:
    assert "there is no folder" in await site.fails("ssl-setup.sh", "check")
    await site.succeeds("ssl-setup.sh", "self-signed", "*.example.org", "10.0.0.1")
    await site.succeeds("ssl-setup.sh", "check", DOMAIN, "10.0.0.1")
    assert "is not for example.com" in await site.fails("ssl-setup.sh", "check", DOMAIN, "example.com")
    assert "is not for 10.0.0.2" in await site.fails("ssl-setup.sh", "check", "10.0.0.2")
    key = files(site)[1]
    key.chmod(0o640)
    assert "other users can use" in await site.fails("ssl-setup.sh", "check")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "expected self-signed"),
        (("self-signed",), "needs a name"),
        (("self-signed", "a b"), "is no DNS name"),
        (("self-signed", "a", "--", "b"), "only acme"),
        (("install", "a"), "a certificate and a key"),
        (("install", "a", "b", "c"), "one certificate and one key"),
        (("renew",), "no such command"),
    ],
)
async def test_wrong_usage_is_explained(args: tuple[str, ...], message: str, site: Site) -> None:
    status, shown = await site.run("ssl-setup.sh", *args)
    assert (status, message in shown) == (2, True)
    assert not (site.folder / "certs").exists()


async def test_the_files_may_belong_to_the_user_of_the_gateway(site: Site) -> None:
    if os.geteuid() != 0:
        missing("only root can change the owner of a file")
    assert "there is no user nobody-of-this-name" in await site.fails(
        "ssl-setup.sh", "self-signed", "localhost", "--owner", "nobody-of-this-name"
    )
    await site.succeeds("ssl-setup.sh", "self-signed", "localhost", "--owner", "nobody")
    assert {path.owner() for path in files(site)} == {"nobody"}


# -- nginx of compose.prod.yaml, and certbot


@asynccontextmanager
async def nginx(folder: Path, certs: Path, ports: dict[int, int]) -> AsyncIterator[int]:
    """nginx of compose.prod.yaml; yields its process id."""
    program = debian_program("nginx", "nginx")
    rendered = nginx_config(folder, certs, ports, names=9, api=9, admin=9)
    command = (program, "-e", "stderr", "-c", str(rendered), "-g", "daemon off;")
    async with program_running(*command, folder=folder) as process:
        await listening("127.0.0.1", ports[8443])
        yield process.pid


@asynccontextmanager
async def acme_server(folder: Path, http_port: int, names: int) -> AsyncIterator[dict[str, str]]:
    """Pebble, the test server of Let's Encrypt, which asks ``http_port`` for challenges. Yields variables for certbot."""
    program = debian_program("pebble", "pebble")
    authority, (directory, management) = Authority(), (free_port(), free_port())
    chain, key = authority.server_files(folder)
    config = {
        "listenAddress": f"127.0.0.1:{directory}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(chain),
        "privateKey": str(key),
        "httpPort": http_port,
        "tlsPort": free_port(),
    }
    (folder / "config.json").write_text(json.dumps({"pebble": config}))
    # Without its faults at random.
    environ = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    command = (program, "-config", str(folder / "config.json"), "-dnsserver", f"127.0.0.1:{names}")
    async with program_running(*command, folder=folder, environ=environ):
        await listening("127.0.0.1", directory)
        yield {
            "REQUESTS_CA_BUNDLE": str(authority.ca_file(folder)),
            "SERVER": f"https://127.0.0.1:{directory}/dir",
        }


async def test_certbot_gets_and_renews_a_certificate_through_the_nginx_of_compose(site: Site, tmp_path: Path) -> None:
    certbot = debian_program("certbot", "certbot")
    ports = {port: free_port() for port in (8080, 8443, 9090, 9091, 3000)}
    certs = tmp_path / "certs"
    certificate, key = certs / "fullchain.pem", certs / "privkey.pem"
    await site.succeeds("ssl-setup.sh", "self-signed", DOMAIN, "--out", certs)  # so that nginx starts
    async with (
        NameServer({DOMAIN: ["127.0.0.1"]}) as names,
        nginx(tmp_path, certs, ports) as pid,
        acme_server(tmp_path, ports[8080], names.port) as environ,
    ):
        await comes_to_serve(ports[8443], certificate)
        folders = [f"--{name}-dir={site.folder / 'certbot' / name}" for name in ("config", "work", "logs")]
        order = ("acme", DOMAIN, "--out", certs, "--webroot", certs / "webroot", "--reload", f"kill -HUP {pid} # it's")
        options = ("--", "--email", "me@example.org", "--server", environ.pop("SERVER"), *folders)
        shown = await site.succeeds("ssl-setup.sh", *order, *options, **environ)
        assert f"wrote {certificate}" in shown
        assert (mode(certificate), mode(key)) == (0o644, 0o600)
        assert "Pebble Intermediate CA" in openssl("x509", "-in", certificate, "-noout", "-issuer")
        await comes_to_serve(ports[8443], certificate)
        await site.succeeds("ssl-setup.sh", "check", DOMAIN, "--out", certs)

        # certbot keeps its certificate, and the script says so.
        first = certificate.read_bytes()
        assert "is this certificate already" in await site.succeeds("ssl-setup.sh", *order, *options, **environ)
        assert certificate.read_bytes() == first

        # As certbot.timer does, weeks later: no option of the script is needed.
        command = [certbot, "renew", "--force-renewal", "--no-random-sleep-on-renew", *folders]
        ran = await asyncio.to_thread(
            subprocess.run, command, env=os.environ | environ, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert certificate.read_bytes() != first
        await comes_to_serve(ports[8443], certificate)

        # An authority that does not find the challenge: nothing is replaced.
        names.addresses.clear()
        before = certificate.read_bytes()
        shown = await site.fails("ssl-setup.sh", "acme", "other.example.org", *order[2:], *options, **environ)
        assert "certbot has no certificate; the lines above say why" in shown
        assert certificate.read_bytes() == before
