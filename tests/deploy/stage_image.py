"""The container image: built by buildah, run by podman, and used as an operator uses it.

Two images are built, as each takes most of a minute: one without extras and one with all. Containers have no network
but their own loopback, except where the scripted provider of the test has to be reached.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.engine import BASE, Container, Engine, engine
from tests.deploy.inside import ASK, CHAT, CLIENT, LIST, installed, is_streamed, readme_curl
from tests.support import Chunk, Headers, LastChunk, RawClient, Upstream, Wait, chat_events, within
from tests.support.answers import DONE, SSE_HEADERS
from tests.support.gateway import ADMIN
from tests.support.machine import missing

pytestmark = pytest.mark.xdist_group("image")  # else each worker would build the images

PLAIN, FULL = "localhost/sluice:plain", "localhost/sluice:all"
LABELS = {
    "VERSION": "1.2.3",
    "REVISION": "0123abc",
    "CREATED": "2026-01-02T03:04:05Z",
    "SOURCE": "https://example.org/x",
}
MOST_BYTES = 130_000_000  # over the base
USER = "10001"


@pytest.fixture(scope="module")
def store() -> Iterator[Engine]:
    if os.geteuid() != 0:
        missing("only root can run containers without a daemon")
    # Not in a folder of pytest, whose path is closed to the user of the container and which stays for a while.
    with engine(Path(tempfile.mkdtemp(prefix="sluice-image-"))) as made:
        yield made


@pytest.fixture(scope="module")
def plain(store: Engine) -> str:
    built = store.build(PLAIN, **LABELS)
    assert built.status == 0, built.text
    return PLAIN


@pytest.fixture(scope="module")
def shell(store: Engine, plain: str) -> Iterator[Container]:
    """A container with the user, the rights and the read-only root of the others, for commands that end."""
    with store.idle(plain) as container:
        yield container


@pytest.fixture(scope="module")
def full(store: Engine) -> str:
    built = store.build(FULL, EXTRAS="all")
    assert built.status == 0, built.text
    return FULL


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that containers share, for files of the user of the image."""
    with tempfile.TemporaryDirectory(prefix="sluice-image-") as folder:
        os.chmod(folder, 0o755)
        os.chown(folder, int(USER), int(USER))
        yield Path(folder)


def configured(shared: Path, upstream: Upstream) -> tuple[str, ...]:
    """Options that mount a configuration with model ``m`` of the provider."""
    provider = {"baseUrl": upstream.url, "apiKey": "secret-key"}
    models = [{"name": "m", "provider": "up", "model": "up-model"}]
    config = {
        "admin": {"token": ADMIN},
        "server": {"port": 0, "drainSecs": 300},
        "providers": {"up": provider},
        "models": models,
    }
    (shared / "config.yaml").write_text(json.dumps(config))
    return ("--volume", f"{shared / 'config.yaml'}:/etc/sluice/config.yaml:ro")


# -- the image ----------------------------------------------------------------------------------------


def test_it_adds_at_most_130_mb_to_its_base(store: Engine, plain: str) -> None:
    size, base = store.image(plain)["Size"], store.image(BASE)["Size"]
    assert 10_000_000 < size - base <= MOST_BYTES


def test_its_settings_and_labels(store: Engine, plain: str) -> None:
    image = store.image(plain)
    config = image["Config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Volumes"] == {"/data": {}}
    assert (config["Entrypoint"], config["Cmd"], config["StopSignal"]) == (["sluice"], ["serve"], "SIGTERM")
    assert "8080/tcp" in config["ExposedPorts"]
    assert image["Healthcheck"]["Test"] == ["CMD", "sluice", "health"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert {"title", "description", "licenses"} <= set(labels)
    assert {name.upper(): labels[name] for name in ("version", "revision", "created", "source")} == LABELS


def test_its_sbom_is_what_is_installed(shell: Container) -> None:
    python = shell.execute("/opt/sluice/bin/python", "-c", LIST)
    sbom = shell.execute("cat", "/opt/sluice/sbom.cdx.json")
    assert installed(sbom.text) == json.loads(python.text)
    assert "sluice-gateway" in installed(sbom.text)


def test_it_has_nothing_that_a_configuration_does_not_need(shell: Container) -> None:
    """No tools, no cache, nothing of the checkout but the program, its configuration and the license."""
    script = "ls /opt/sluice/bin /etc/sluice; ls -d /build /root/.cache /opt/sluice/.env 2>/dev/null; true"
    output = shell.execute("sh", "-c", script).text.split()
    assert {"sluice", "config.yaml", "models.yaml"} <= set(output)
    assert not {"pip", "cyclonedx-py", "flit", "/build", "/root/.cache", ".env"} & set(output)


def test_an_unknown_extra_is_refused(store: Engine) -> None:
    built = store.build("localhost/sluice:broken", EXTRAS="redis, postgers")
    assert built.status != 0
    assert "EXTRAS: there is no extra postgers (there are all,amqp,aws,database,dns,google,jwt," in built.text


# -- a container without a network: a sidecar ---------------------------------------------------------


async def test_a_sidecar_serves_without_rights_on_a_read_only_root(store: Engine, plain: str) -> None:
    """One container for all of these, as each is a copy of the image."""
    async with store.container(plain) as gateway:
        has_no_rights(gateway)
        writes_only_its_data(gateway)
        listens_on_loopback_only(gateway)
        answers_the_curl_of_the_readme(gateway)
        answers_another_container_of_its_network(store, gateway)
        is_healthy_while_it_answers(store, gateway)
        gateway.signal("TERM")
        assert gateway.wait() == 0, gateway.log()


def has_no_rights(gateway: Container) -> None:
    status = gateway.process_status()
    assert status["Uid"].split() == status["Gid"].split() == [USER] * 4
    assert status["Groups"] in ("", USER)
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


def writes_only_its_data(gateway: Container) -> None:
    for folder in ("/", "/etc/sluice", "/opt/sluice", "/var/tmp", "/home"):
        refused = gateway.execute("sh", "-c", f"echo > {folder}/written")
        assert refused.status != 0
        assert "Read-only file system" in refused.text or "Permission denied" in refused.text
    assert "Read-only file system" in gateway.execute("sh", "-c", "echo > /var/tmp/written").text
    assert gateway.execute("sh", "-c", "echo > /data/written && rm /data/written").status == 0
    assert gateway.execute("stat", "-c", "%a %u", "/data/admin-token").text.split() == ["600", USER]


def listens_on_loopback_only(gateway: Container) -> None:
    """By the kernel's table, where 0A is LISTEN and addresses are in reversed hexadecimal. One is the demo provider."""
    listening = []
    for table in ("tcp", "tcp6"):
        rows = [line.split() for line in Path(f"/proc/{gateway.pid}/net/{table}").read_text().splitlines()[1:]]
        listening += [row[1].split(":") for row in rows if row[3] == "0A"]
    assert {address for address, _ in listening} == {"0100007F"}
    assert f"{8080:04X}" in [port for _, port in listening]


def answers_the_curl_of_the_readme(gateway: Container) -> None:
    answer = gateway.in_network("sh", "-c", readme_curl())
    assert answer.status == 0, answer.text
    events = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    assert len(events) > 3
    assert events[-1] == "data: [DONE]"


def answers_another_container_of_its_network(store: Engine, gateway: Container) -> None:
    """An application and its sidecar in one pod."""
    client = store.once(
        PLAIN, "-c", CLIENT, "", options=("--entrypoint", "python3"), network=f"container:{gateway.name}"
    )
    is_streamed(client)


def health_check(store: Engine) -> list[str]:
    """The command of HEALTHCHECK."""
    command: list[str] = store.image(PLAIN)["Healthcheck"]["Test"][1:]
    return command


def is_healthy_while_it_answers(store: Engine, gateway: Container) -> None:
    command = health_check(store)
    assert gateway.execute(*command) == (0, "")
    assert gateway.execute(*command, "--ready") == (0, "")
    gateway.signal("STOP")
    status, text = gateway.execute(*command)
    gateway.signal("CONT")
    assert (status, text.count("\n")) == (1, 1), text
    assert "did not answer" in text
    assert gateway.execute(*command) == (0, "")


def test_it_is_unhealthy_where_nothing_listens(store: Engine, shell: Container) -> None:
    status, text = shell.execute(*health_check(store))
    assert (status, text.count("\n")) == (1, 1), text
    assert "cannot be reached" in text


async def test_a_sidecar_serves_on_a_unix_socket_of_a_shared_volume(store: Engine, plain: str, shared: Path) -> None:
    """Applications are in another container."""
    volume = ("--volume", f"{shared}:/run/sluice")
    path = "/run/sluice/api.sock"
    ask = ("python3", "-c", CLIENT, path)
    other = "10002:10002"
    given = {"LISTEN_UNIX_SOCKET": path}
    with store.idle(plain, options=volume) as application:
        async with store.container(plain, environ=given, options=volume) as gateway:
            is_streamed(application.execute(*ask))
            # By the umask, only the gateway's own user can connect.
            assert "PermissionError" in application.execute(*ask, user=other).text
            assert gateway.execute(*health_check(store)) == (0, "")
            gateway.signal("TERM")
            assert gateway.wait() == 0
        assert os.listdir(shared) == []
        given["LISTEN_UNIX_SOCKET_MODE"] = "0666"
        async with store.container(plain, environ=given, options=volume):
            is_streamed(application.execute(*ask, user=other))


# -- streams ------------------------------------------------------------------------------------------


def in_lock_step(events: list[bytes], received: list[asyncio.Event]) -> Iterator[Any]:
    """A script: each event after the first content is sent when the one before has been received.

    The first event has the role and no content, so the gateway holds it back.
    """
    yield Headers(200, SSE_HEADERS)
    for number, event in enumerate(events):
        if number > 1:
            yield Wait(received[number - 1])
        yield Chunk(event)
    yield LastChunk()


async def next_event(client: RawClient, content: bytes) -> None:
    """Read up to the event with this text."""
    while content not in (event := await client.read_event()):
        assert event, f"no {content!r} in {bytes(client.received)!r}"


async def test_a_stream_is_not_buffered_and_ends_whole_after_sigterm(store: Engine, plain: str, shared: Path) -> None:
    """The provider sends the next event only when the client has the one before, also while the gateway stops."""
    words = [f"word-{number}" for number in range(20)]
    events = chat_events(*words)
    received = [asyncio.Event() for _ in events]
    async with Upstream() as upstream:
        upstream.on(lambda request: [*in_lock_step(events, received)])
        mounted = configured(shared, upstream)
        async with (
            store.container(plain, network="host", options=mounted) as gateway,
            RawClient(gateway.port) as client,
        ):
            await client.request("POST", CHAT, json=ASK | {"model": "m", "stream": True})
            assert (await client.read_head()).status == 200
            for number, word in enumerate(words, start=1):
                await next_event(client, f'"{word}"'.encode())
                if number == 10:
                    await terminate(gateway)
                received[number].set()
            for event in received:
                event.set()
            rest = b"".join(await client.read_events())
            assert rest.endswith(DONE)
            assert await asyncio.to_thread(gateway.wait) == 0, gateway.log()
            assert "Traceback" not in gateway.log()


async def terminate(gateway: Container) -> None:
    """Return once the signal has had its effect: the gateway is not ready any more."""
    await asyncio.to_thread(gateway.signal, "TERM")

    async def stopping() -> None:
        while True:
            async with RawClient(gateway.port) as client:
                if (await client.fetch("GET", "/ready")).status == 503:
                    return
            await asyncio.sleep(0.02)

    await within(stopping(), "/ready to be 503", gateway.log)


# -- variables ----------------------------------------------------------------------------------------


def test_every_address_is_refused_without_a_key(shell: Container) -> None:
    status, text = shell.execute("sluice", "serve", environ={"LISTEN_HOST": "0.0.0.0"})
    assert (status, text.count("\n")) == (1, 1), text
    assert "0.0.0.0 is reachable from other machines, and authentication is off" in text


async def test_every_address_is_served_with_sluice_insecure(store: Engine, plain: str) -> None:
    given = {"LISTEN_HOST": "0.0.0.0", "SLUICE_INSECURE": "1", "LISTEN_PORT": "0"}
    async with (
        store.container(plain, environ=given, network="host") as gateway,
        RawClient(("127.0.0.2", gateway.port)) as client,  # an address of this machine that is not the default
    ):
        answer = await client.fetch("POST", CHAT, json=ASK)
        assert answer.status == 200, answer.body


async def test_every_address_is_served_with_a_key(store: Engine, plain: str) -> None:
    """By variables alone, and without the packages of the database."""
    keys = ["sk-the-first-key-of-a-test", "sk-the-second-key-of-a-test"]
    given = {"LISTEN_HOST": "0.0.0.0", "SLUICE_API_KEYS": ",".join(keys), "LISTEN_PORT": "0"}
    async with (
        store.container(plain, environ=given, network="host") as gateway,
        RawClient(("127.0.0.2", gateway.port)) as client,
    ):
        for value in ("", "Bearer sk-another-key-of-a-test"):
            refused = await client.fetch("POST", CHAT, headers=[("Authorization", value)], json=ASK)
            assert refused.status == 401, refused.body
        for key in keys:
            answer = await client.fetch("POST", CHAT, headers=[("Authorization", f"Bearer {key}")], json=ASK)
            assert answer.status == 200, answer.body
        assert not [key for key in keys if key in gateway.log()]


def test_a_short_key_is_refused(shell: Container) -> None:
    status, text = shell.execute("sluice", "serve", environ={"SLUICE_API_KEYS": "short"})
    assert (status, text.count("\n")) == (1, 1), text
    assert "SLUICE_API_KEYS: key 1 must have at least 20 characters" in text


def test_a_missing_extra_is_one_sentence(shell: Container) -> None:
    status, text = shell.execute("sluice", "serve", environ={"RATE_LIMIT_STORAGE": "redis"})
    lines = [line for line in text.splitlines() if not line.startswith("{")]  # without the log
    assert (status, len(lines)) == (1, 1), text
    assert "sluice-gateway[redis]" in lines[0]


# -- all extras ---------------------------------------------------------------------------------------


async def test_an_image_with_all_extras_serves_keys_and_tokens(store: Engine, full: str, shared: Path) -> None:
    """The configuration imports every extra. Redis, which is not there, is down at the first use only."""
    config = {
        "demo": "auto",
        "admin": {"token": ADMIN},
        "auth": {"mode": "any", "jwt": {"secret": "s" * 32}},
        "rateLimiting": {"enabled": True, "store": "redis", "global": {"requestsPerMinute": 100}},
        "observe": {"tracing": {"enabled": True}, "sentry": {"dsn": "http://key@127.0.0.1:9/1"}},
    }
    (shared / "config.yaml").write_text(json.dumps(config))
    volume = ("--volume", f"{shared / 'config.yaml'}:/etc/sluice/config.yaml:ro")
    async with store.container(full, environ={"LISTEN_PORT": "0"}, network="host", options=volume) as gateway:
        async with RawClient(gateway.port) as client:
            assert (await client.fetch("POST", CHAT, json=ASK)).status == 401
            admin = [("Authorization", f"Bearer {ADMIN}")]
            made = await client.fetch("POST", "/auth/api-keys", headers=admin, json={"name": "test"})
            assert made.status == 201, made.body
            key = [("Authorization", f"Bearer {made.json['key']}")]
            answer = await client.fetch("POST", CHAT, headers=key, json=ASK)
            assert answer.status == 200, answer.body
        assert "sluice.db" in gateway.execute("ls", "/data").text.split()
        sbom = gateway.execute("cat", "/opt/sluice/sbom.cdx.json").text
        assert {"redis", "asyncpg", "pyjwt", "sqlalchemy", "sentry-sdk", "opentelemetry-sdk"} <= set(installed(sbom))
