"""``scripts/release`` in a clone: what it builds, and that the installed wheel serves every page."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy import __version__
from tests.support import within
from tests.support.client import RawClient
from tests.support.machine import missing

ROOT = Path(__file__).resolve().parents[2]
RELEASE_SECS = 300.0
NAME = f"sluice_gateway-{__version__}"
SECRET = "deploy/certs/privkey.pem"  # ignored by git
_LOADED = re.compile(rb"""(?:src|href)="(/[^"#]+)\"""")


class Release(NamedTuple):
    files: set[str]  # of the commit
    committed: int  # seconds since 1970
    dist: Path
    environment: Path


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    clone = tmp_path_factory.mktemp("release") / "clone"
    cloned = subprocess.run(["git", "clone", "-q", "--local", str(ROOT), str(clone)], capture_output=True, text=True)
    if cloned.returncode:
        missing(f"{ROOT} cannot be cloned: {cloned.stderr.strip()}")
    (clone / SECRET).parent.mkdir()
    (clone / SECRET).write_text("secret")
    environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    command = [clone / "scripts" / "release", "--environment", clone.parent / "environment"]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=RELEASE_SECS)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == (clone / "dist" / "SHA256SUMS").read_text()

    def output(*command: str) -> str:
        return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True).stdout

    committed = int(output("git", "log", "-1", "--format=%ct"))
    return Release(set(output("git", "ls-files").splitlines()), committed, clone / "dist", clone.parent / "environment")


def test_the_sums_are_those_of_the_files(release: Release) -> None:
    sums = dict(reversed(line.split("  ")) for line in (release.dist / "SHA256SUMS").read_text().splitlines())
    names = {f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz", "sbom.cdx.json", "RELEASE_NOTES.md"}
    assert set(sums) == names
    assert {path.name for path in release.dist.iterdir()} == names | {"SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256((release.dist / name).read_bytes()).hexdigest() == expected


def test_the_wheel_has_every_file_of_the_package_and_no_other(release: Release) -> None:
    with zipfile.ZipFile(release.dist / f"{NAME}-py3-none-any.whl") as wheel:
        names = {name for name in wheel.namelist() if not name.startswith(f"{NAME}.dist-info/")}
        metadata = wheel.read(f"{NAME}.dist-info/METADATA").decode()
    assert names == {name for name in release.files if name.startswith("proxy/")}
    assert f"\nVersion: {__version__}\n" in metadata


def test_the_sdist_has_what_is_needed_to_build_and_run_and_nothing_that_git_ignores(release: Release) -> None:
    with tarfile.open(release.dist / f"{NAME}.tar.gz") as sdist:
        names = {name.removeprefix(f"{NAME}/") for name in sdist.getnames()}
    folders = ("proxy/", "config/", "deploy/", "scripts/", "tests/")
    assert names - {"PKG-INFO"} <= release.files
    assert SECRET not in names
    assert {name for name in release.files if name.startswith(folders)} <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names


def test_the_sbom_lists_what_is_installed_in_the_locked_versions(release: Release) -> None:
    text = (release.dist / "sbom.cdx.json").read_text()
    assert "file://" not in text  # no path of the machine that built it
    sbom = json.loads(text)
    assert sbom["bomFormat"] == "CycloneDX"
    assert datetime.fromisoformat(sbom["metadata"]["timestamp"]).timestamp() == release.committed
    listed = {canonical(each["name"]): each["version"] for each in sbom["components"]}
    assert listed.pop("sluice-gateway") == __version__
    lock = (ROOT / "deploy" / "locks" / "runtime.txt").read_text()
    locked = {canonical(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)}
    assert {"aiohttp", "redis", "sqlalchemy", "asyncpg", "pyjwt", "sentry-sdk"} <= set(listed)
    assert listed.items() <= locked.items()


def canonical(name: str) -> str:
    """The form of a package's name for comparisons (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@asynccontextmanager
async def serving(release: Release, folder: Path) -> AsyncIterator[RawClient]:
    """``sluice serve`` of the installed wheel, without any configuration, in a folder without the source."""
    process = await asyncio.create_subprocess_exec(
        str(release.environment / "bin" / "sluice"),
        "serve",
        "--port",
        "0",
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "ADMIN_TOKEN": "the-admin-token-of-a-test"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines: list[str] = []

    async def port() -> int:
        assert process.stdout is not None
        async for line in process.stdout:
            lines.append(line.decode())
            if found := re.search(r"listens on http://127\.0\.0\.1:(\d+)", lines[-1]):
                return int(found[1])
        raise AssertionError(lines)

    client = None
    try:
        client = await RawClient(await within(port(), "an address in the output", lambda: lines)).connect()
        yield client
    finally:
        if client is not None:
            client.close()
        process.terminate()
        await within(process.communicate(), "the gateway to stop", lambda: lines)


async def test_the_installed_wheel_serves_every_page_with_the_files_that_it_loads(
    release: Release, tmp_path: Path
) -> None:
    async with serving(release, tmp_path) as client:
        for page, at_least in (("/", 20), ("/docs", 3), ("/redoc", 3)):
            answer = await client.fetch("GET", page)
            assert answer.status == 200, page
            loaded = {path.decode() for path in _LOADED.findall(answer.body)}
            assert len(loaded) >= at_least, (page, loaded)
            for path in loaded:
                assert (await client.fetch("GET", path)).status == 200, path
        schema = await client.fetch("GET", "/openapi.json")
        assert schema.json["info"]["version"] == __version__
        health = await client.fetch("GET", "/health")
        assert health.json["version"] == __version__


def test_the_installed_files_are_those_of_the_commit(release: Release) -> None:
    """Also those that are read at run time only: pages, scripts of Redis, the schema of the database."""
    package = next((release.environment / "lib").glob("python3*/site-packages/proxy"))
    for name in sorted(release.files):
        if name.startswith("proxy/"):
            clone = release.dist.parent / name
            assert (package.parent / name).read_bytes() == clone.read_bytes(), name
