"""A machine of an operator: a folder with a configuration, and the scripts of ``deploy/scripts`` outside a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.support import Upstream, until
from tests.support.client import RawClient
from tests.support.gateway import one_provider

SCRIPTS = Path(__file__).resolve().parents[2] / "deploy" / "scripts"
CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PATIENCE_SECS = 60
SLUICE = Path(sys.executable).parent / "sluice"


class Ran(NamedTuple):
    status: int
    output: str  # stdout and stderr


class RunningScript:
    """A script that writes to a file: a pipe that the gateway inherits from ``start.sh`` would never end."""

    def __init__(self, command: list[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._command = command
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=self._file, stderr=self._file
        )

    @property
    def output(self) -> str:
        size = os.fstat(self._file.fileno()).st_size
        return os.pread(self._file.fileno(), size, 0).decode()

    async def says(self, text: str) -> None:
        """Wait until its output has the text."""
        await until(lambda: text in self.output or self._process.poll() is not None, f"{text!r} of {self._command}")
        assert text in self.output, self.output

    async def end(self) -> Ran:
        await until(lambda: self._process.poll() is not None, f"the end of {self._command}, after {self.output!r}")
        output = self.output
        self.close()
        return Ran(self._process.returncode, output)

    @property
    def command_line(self) -> str:
        """As every user of the machine sees it."""
        return Path(f"/proc/{self._process.pid}/cmdline").read_text()

    def terminate(self) -> None:
        self._process.terminate()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._file.close()


class Site:
    """``folder`` has a space in its name. The gateway listens on a unix socket there, so no port is shared."""

    def __init__(self, folder: Path, shell: str = "dash") -> None:
        self.folder = folder
        self.scripts = folder / "scripts"
        self.config = folder / "etc" / "config.yaml"
        self.socket = folder / "gateway.sock"
        self.data = folder / "my data"
        self.database = self.data / "sluice.db"
        self.pid_file = self.data / "sluice.pid"
        self.prefix: tuple[str, ...] = ()  # of every command, such as ``ip netns exec NAME``
        self._shell = shell
        self._running: list[RunningScript] = []
        self.config.parent.mkdir()
        shutil.copytree(SCRIPTS, self.scripts)

    def write(self, source: Mapping[str, Any]) -> None:
        """The configuration: ``source`` with keys from the database, and models in a file of their own."""
        given = {"dataDir": str(self.data), "auth": {"mode": "keys"}} | dict(source)
        given["server"] = {"unixSocket": str(self.socket), "drainSecs": 30} | given.get("server", {})
        models = given.pop("models")
        (self.config.parent / "models.yaml").write_bytes(msgspec.yaml.encode({"models": models}))
        self.config.write_bytes(msgspec.yaml.encode({"modelsFile": "./models.yaml"} | given))

    async def begin(self, script: str, *args: str | Path, **environ: str) -> RunningScript:
        """Start a script. A variable that is ``""`` is unset, and ``options="no"`` leaves out --dir and --config."""
        given = {"PATH": os.environ["PATH"], "SLUICE": str(SLUICE)} | environ
        options = ["--dir", str(self.folder), "--config", str(self.config)]
        if given.pop("options", "") == "no" or script == "ssl-setup.sh":
            options = []
        command = [*self.prefix, self._shell, str(self.scripts / script), *map(str, args), *options]
        running = RunningScript(command, self.folder, {name: value for name, value in given.items() if value})
        self._running.append(running)
        return running

    async def run(self, script: str, *args: str | Path, **environ: str) -> Ran:
        running = await self.begin(script, *args, **environ)
        return await running.end()

    async def succeeds(self, script: str, *args: str | Path, **environ: str) -> str:
        status, output = await self.run(script, *args, **environ)
        assert status == 0, output
        return output

    async def fails(self, script: str, *args: str | Path, **environ: str) -> str:
        status, output = await self.run(script, *args, **environ)
        assert status == 1, output
        return output

    async def start(self) -> None:
        await self.succeeds("start.sh", "--wait", str(PATIENCE_SECS))

    async def stop(self) -> None:
        await self.succeeds("stop.sh", "--wait", str(PATIENCE_SECS))

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def close(self) -> None:
        """End the scripts that still run."""
        for running in self._running:
            running.close()

    async def fetch(self, method: str, target: str, key: str, **rest: Any) -> Any:
        async with RawClient(str(self.socket)) as client:
            return await client.fetch(method, target, headers=[("Authorization", f"Bearer {key}")], **rest)

    async def admin_token(self) -> str:
        return (self.data / "admin-token").read_text().strip()

    async def new_key(self, name: str) -> str:
        made = await self.fetch("POST", "/auth/api-keys", await self.admin_token(), json={"name": name})
        assert made.status == 201, made.body
        key: str = made.json["key"]
        return key

    async def key_names(self) -> set[str]:
        listed = await self.fetch("GET", "/auth/api-keys?limit=1000", await self.admin_token())
        assert listed.status == 200, listed.body
        return {each["name"] for each in listed.json["data"]}

    async def status_of(self, key: str) -> int:
        """Of a call with this key."""
        status: int = (await self.fetch("POST", CHAT, key, json=CALL)).status
        return status

    def archives(self) -> list[Path]:
        return sorted((self.folder / "backups").glob("*.tar.gz"))


@asynccontextmanager
async def new_site(up: Upstream, shell: str = "dash", **sections: Any) -> AsyncIterator[Site]:
    """A site whose gateway is stopped at the end, by its process id. Its path is short enough for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="a site ") as folder:
        site = Site(Path(folder), shell)
        site.write(one_provider(up, **sections))
        try:
            yield site
        finally:
            if site.pid_file.exists():
                await site.run("stop.sh", "--wait", "0", "--kill")
            site.close()
