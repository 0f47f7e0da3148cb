"""The scripts of ``deploy/scripts`` with real gateways: backup and restore."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.database.libpq import variables
from tests.database.databases import NEWEST
from tests.deploy.site import SCRIPTS, Site, new_site
from tests.support import Upstream, completion, json_answer, until, within
from tests.support.machine import debian_program
from tests.support.services import postgres_database

SHELLS = ("dash", "bash")
WRITTEN = 3  # keys that are made before the backup begins, and after it


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hi")))
        yield upstream


class Writer:
    """Makes keys one after the other, as long as its block runs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.keys: dict[str, str] = {}

    async def __aenter__(self) -> Writer:
        self._task = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end = True
        await within(self._task, "the writer to end")

    _end = False

    async def _write(self) -> None:
        while not self._end:
            name = f"written-{len(self.keys):04}"
            self.keys[name] = await self._site.new_key(name)

    async def more(self) -> None:
        enough = len(self.keys) + WRITTEN
        await until(lambda: len(self.keys) >= enough or self._task.done(), "more keys")


@asynccontextmanager
async def site_on(kind: str, up: Upstream, shell: str = "dash") -> AsyncIterator[Site]:
    if kind == "sqlite":
        async with new_site(up, shell) as site:
            yield site
    else:
        debian_program("pg_dump", "postgresql-client")
        async with postgres_database() as url, new_site(up, shell, database={"url": url}) as site:
            yield site


async def psql(site: Site, command: str) -> None:
    url = site.config.read_text().split("url: ")[1].split()[0].strip("'\"")
    await asyncio.to_thread(
        subprocess.run,
        ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-c", command],
        env=os.environ | variables(url),
        check=True,
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/keys",
        "postgres://me:p%40s%2Fs%25w%20@10.0.0.1:5433/my%20keys?sslmode=verify-full&connect_timeout=3",
        "postgresql://me@[::1]:5432/keys",
        "postgresql:///keys?host=%2Frun%2Fpostgresql&keepalives=1",
        "postgresql://host",
    ],
)
@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_read_a_database_url_as_the_program_does(shell: str, url: str) -> None:
    code = f". '{SCRIPTS}/common.sh'; libpq_variables \"$1\"; env"
    script = str(SCRIPTS / "backup.sh")  # $0, from which common.sh finds its folder
    ran = subprocess.run(
        [shell, "-euc", code, script, url], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )
    shown = dict(line.partition("=")[::2] for line in ran.stdout.splitlines() if line.startswith("PG"))
    assert shown == variables(url)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_restored_backup_has_the_keys_that_were_made_before_it(kind: str, up: Upstream) -> None:
    async with site_on(kind, up) as site:
        await site.start()
        before = await site.new_key("before")
        async with Writer(site) as writer:
            await writer.more()
            made_before = set(writer.keys)
            shown = await site.succeeds("backup.sh", "--to", "backups")
            await writer.more()  # the gateway still writes
        after = await site.new_key("after")
        assert await site.status_of(after) == 200
        (archive,) = site.archives()
        assert f"wrote and verified {archive}" in shown
        assert "admin-token, which is a secret" in shown
        assert archive.stat().st_mode & 0o777 == 0o600

        assert "the gateway runs" in await site.fails("restore.sh", "--force", archive)
        await site.stop()
        token = await site.admin_token()
        if kind == "sqlite":
            site.database.write_bytes(b"destroyed" * 1000)
        else:
            await psql(site, "TRUNCATE api_keys")
            await psql(
                site,
                "INSERT INTO api_keys (id, name, owner, hash, enabled, models, providers, scopes, created_at, changed_at,"
                " deleted, revision) VALUES ('x', 'x', '', 'x', true, '[]', '[]', '[]', 1, 1, false, 1)",
            )
        (site.data / "admin-token").unlink()
        assert "--force" in await site.fails("restore.sh", archive)
        assert "changed nothing" in await site.succeeds("restore.sh", "--check", archive)
        assert not (site.data / "admin-token").exists()
        shown = await site.succeeds("restore.sh", "--force", archive)
        assert "up to date at " in shown
        assert await site.admin_token() == token

        await site.start()
        assert await site.status_of(before) == 200
        assert await site.status_of(after) == 401
        names = await site.key_names() - {"before"}
        # A snapshot: the first keys of the writer, without gaps, and at least those made before the backup.
        assert made_before <= names
        assert names == set(sorted(writer.keys)[: len(names)])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_machine_is_restored_from_nothing(kind: str, up: Upstream) -> None:
    """The database is empty, and the configuration is gone."""
    async with site_on(kind, up) as site:
        await site.start()
        key = await site.new_key("a")
        (site.folder / ".env").write_text("SECRET_OF_MINE=x\n")
        await site.succeeds("backup.sh", "--to", "backups", "--quiet")
        await site.stop()
        (archive,) = site.archives()
        texts = {
            path: path.read_text() for path in (site.config, site.config.with_name("models.yaml"), site.folder / ".env")
        }
        if kind == "sqlite":
            site.database.unlink()
        else:
            await psql(site, "DROP TABLE api_keys, ledger, ledger_hours, sluice_revision")
        for path in texts:
            path.unlink()
        # The option --config would name a file that is not there yet.
        restored = ("restore.sh", "--with-config", "--dir", site.folder, archive)
        await site.succeeds(*restored, options="no", ROUTER_CONFIG_PATH=str(site.config))
        assert {path: path.read_text() for path in texts} == texts
        await site.start()
        assert await site.status_of(key) == 200


async def damaged(site: Site, change: str) -> Path:
    """A copy of the only archive, with ``change``."""
    (archive,) = site.archives()
    copy = site.folder / "copy.tar.gz"
    content = bytearray(archive.read_bytes())
    if change == "cut":
        copy.write_bytes(content[: len(content) // 2])
    elif change == "a byte":
        content[len(content) // 2] ^= 0xFF
        copy.write_bytes(content)
    else:
        folder = site.folder / "unpacked"
        folder.mkdir()
        await asyncio.to_thread(subprocess.run, ["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
        if change == "a file":
            with (folder / "database.sqlite").open("r+b") as file:
                file.write(b"SQLite FORMAT 3")
        elif change == "another file":
            (folder / "more").write_text("x")
        else:
            (folder / "manifest").unlink()
        with tarfile.open(copy, "w:gz") as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, path.name)
    return copy


@pytest.mark.parametrize("change", ["cut", "a byte", "a file", "another file", "no manifest"])
async def test_a_damaged_archive_is_refused(change: str, up: Upstream) -> None:
    async with new_site(up) as site:
        await site.start()
        await site.succeeds("backup.sh", "--to", "backups")
        key = await site.new_key("after")
        await site.stop()
        archive = await damaged(site, change)
        shown = await site.fails("restore.sh", "--force", archive)
        assert "damaged" in shown or "is no backup" in shown
        assert (
            "damaged" in (extract := await site.fails("restore.sh", archive, "--extract", site.folder / "out"))
            or "no backup" in extract
        )
        assert not (site.folder / "out").exists()
        await site.start()
        assert await site.status_of(key) == 200


async def test_rotation_removes_only_what_the_script_made(up: Upstream) -> None:
    async with new_site(up) as site:
        folder = site.folder / "backups"
        folder.mkdir()
        foreign = folder / "sluice-backup-20200101T000000Z.tar.gz"
        foreign.write_bytes(b"mine")
        other = folder / "notes.txt"
        other.write_text("mine")
        for _ in range(2):
            await site.succeeds("backup.sh", "--to", folder, "--keep", "2")
        await site.succeeds("backup.sh", "--to", folder, "--keep", "2", "--name", "other")
        first, *_ = [path for path in site.archives() if path != foreign and path.name.startswith("sluice")]
        shown = await site.succeeds("backup.sh", "--to", folder, "--keep", "2")
        assert f"removed {first}" in shown
        assert f"left {foreign} alone" in shown
        assert foreign.read_bytes() == b"mine"
        assert other.exists()
        assert len([path for path in folder.iterdir() if path.name.startswith("sluice-backup-2")]) == 3
        assert len([path for path in folder.iterdir() if path.name.startswith("other-backup-2")]) == 1
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]


async def test_a_backup_that_fails_leaves_nothing(up: Upstream) -> None:
    async with new_site(up) as site:
        site.data.mkdir()
        site.database.write_bytes(b"no database" * 1000)
        assert "the database is not backed up" in await site.fails("backup.sh", "--to", "backups")
        assert list((site.folder / "backups").iterdir()) == []


async def test_extract_unpacks_the_files(up: Upstream) -> None:
    async with new_site(up) as site:
        extra = site.folder / "an extra folder"
        extra.mkdir()
        (extra / "a file").write_text("kept")
        await site.succeeds("backup.sh", "--to", "backups", "--include", extra)
        (archive,) = site.archives()
        await site.succeeds("restore.sh", archive, "--extract", site.folder / "out")
        assert (site.folder / f"out/files{extra}/a file").read_text() == "kept"
        assert (site.folder / f"out/files{site.config}").read_text() == site.config.read_text()
        assert "exists already" in await site.fails("restore.sh", archive, "--extract", site.folder / "out")


async def test_without_the_program_a_url_is_enough_for_postgresql(up: Upstream) -> None:
    """As in a container of PostgreSQL. The password is on no command line, which pg_dump would show to every user."""
    pg_dump = debian_program("pg_dump", "postgresql-client")
    async with site_on("postgresql", up) as site:
        await site.start()
        key = await site.new_key("a")
        url = site.config.read_text().split("url: ")[1].split()[0].strip("'\"")
        shims = site.folder / "bin"
        shims.mkdir()
        seen = site.folder / "seen"
        (shims / "pg_dump").write_text(f'#!/bin/sh\necho "$@" >>"{seen}"\nexec {pg_dump} "$@"\n')
        (shims / "pg_dump").chmod(0o755)
        bare = {"PATH": f"{shims}:/usr/bin:/bin", "DATABASE_URL": url, "SLUICE": "", "options": "no"}
        await site.succeeds("backup.sh", "--to", "backups", "--include", site.config, **bare)
        assert "postgres" not in seen.read_text().replace(str(site.folder), "")
        (archive,) = site.archives()
        shown = await site.fails("restore.sh", "--force", archive, **bare)
        assert "gateways are connected to the database" in shown
        await site.stop()
        await psql(site, "TRUNCATE api_keys")
        await site.succeeds("restore.sh", archive, **bare)
        await site.start()
        assert await site.status_of(key) == 200


async def test_a_database_of_another_revision_is_not_mixed_with_the_backup(up: Upstream) -> None:
    async with site_on("postgresql", up) as site:
        await site.start()
        await site.succeeds("backup.sh", "--to", "backups")
        await site.stop()
        (archive,) = site.archives()
        await psql(site, "UPDATE sluice_revision SET version_num = '9999'")
        assert f"has revision 9999, the backup has {NEWEST}" in await site.fails("restore.sh", "--force", archive)
        await psql(site, "DROP TABLE api_keys, ledger, ledger_hours, sluice_revision")


async def test_a_backup_of_another_kind_of_database_is_refused(up: Upstream) -> None:
    async with new_site(up) as site:
        await site.start()
        await site.succeeds("backup.sh", "--to", "backups")
        await site.stop()
        (archive,) = site.archives()
        text = site.config.read_text()
        site.config.write_text(f"{text}database: {{url: 'postgresql://127.0.0.1:1/none'}}\n")
        shown = await site.fails("restore.sh", archive)
        assert "the backup has a sqlite database, but the configuration names a postgresql database" in shown
