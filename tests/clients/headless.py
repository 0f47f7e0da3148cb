"""Command lines of coding assistants, run once without a terminal in an empty home folder."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients.installed import program
from tests.deploy.npm import search_path

PROMPT = "What does note.txt say?"
RUN_SECS = 120.0  # on a loaded machine; a run takes 1 to 4 s

CODEX = """
model = "{model}"
model_provider = "sluice"
[model_providers.sluice]
name = "Sluice"
base_url = "{url}/v1"
env_key = "SLUICE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 1
"""
GEMINI = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}


class Desk(NamedTuple):
    """A home folder. ``url`` is the gateway's, ``outside`` a proxy for every other address."""

    home: Path
    url: str
    outside: str
    key: str  # for the gateway

    @property
    def note(self) -> Path:
        """The file that the assistant is asked about."""
        return self.home / "work" / "note.txt"


class Run(NamedTuple):
    status: int
    out: str
    err: str


async def run(desk: Desk, command: list[str], environ: dict[str, str]) -> Run:
    """Run a command in the folder of the note. Its environment is only what is given, and the proxy's address."""
    proxy = {"HTTP_PROXY": desk.outside, "HTTPS_PROXY": desk.outside, "NO_PROXY": "127.0.0.1"}
    base = {"PATH": search_path(), "HOME": str(desk.home), "LANG": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(
        str(program(command[0])),
        *command[1:],
        cwd=desk.note.parent,
        env=base | proxy | environ,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(RUN_SECS):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Run(process.returncode, out.decode(), err.decode())


async def claude(desk: Desk, model: str, *options: str, prompt: str = PROMPT, **environ: str) -> Run:
    own = {"ANTHROPIC_BASE_URL": desk.url, "ANTHROPIC_API_KEY": desk.key}
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return await run(desk, ["claude", "-p", prompt, "--model", model, *options], own | quiet | environ)


async def codex(desk: Desk, model: str, *options: str, prompt: str = PROMPT, **environ: str) -> Run:
    folder = desk.home / ".codex"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(CODEX.format(model=model, url=desk.url))
    command = ["codex", "exec", "--skip-git-repo-check", "--sandbox", "read-only", *options, prompt]
    return await run(desk, command, {"SLUICE_KEY": desk.key} | environ)


async def codex_of_openai(desk: Desk, model: str) -> Run:
    """With the provider that Codex knows itself, at another address. It asks for a WebSocket first."""
    folder = desk.home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(f'model = "{model}"\nopenai_base_url = "{desk.url}/v1"\n')
    command = ["codex", "exec", "--skip-git-repo-check", "--sandbox", "read-only", PROMPT]
    return await run(desk, command, {"CODEX_API_KEY": desk.key})


async def gemini(desk: Desk, model: str, *options: str, prompt: str = PROMPT, **environ: str) -> Run:
    folder = desk.home / ".gemini"
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(GEMINI))
    own = {"GEMINI_API_KEY": desk.key, "GOOGLE_GEMINI_BASE_URL": desk.url}
    return await run(desk, ["gemini", "-p", prompt, "-m", model, "--skip-trust", *options], own | environ)


def codex_calls(path: Path) -> dict[str, dict[str, Any]]:
    """The tool of most models, and that of some newer ones, which takes a program."""
    cat = {"cmd": f"cat '{path}'"}
    return {"exec_command": cat, "exec": {"input": f"text(await tools.exec_command({json.dumps(cat)}))"}}


class Assistant(NamedTuple):
    """``calls`` are the arguments with which its tools read a file, by their names."""

    run: Callable[..., Any]
    calls: Callable[[Path], dict[str, dict[str, Any]]]


ASSISTANTS = {
    "claude": Assistant(claude, lambda path: {"Read": {"file_path": str(path)}}),
    "codex": Assistant(codex, codex_calls),
    "gemini": Assistant(gemini, lambda path: {"read_file": {"file_path": str(path)}}),
}
