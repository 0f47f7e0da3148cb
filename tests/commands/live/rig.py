"""The findings of a configuration, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from proxy.commands.live.finding import Finding, Live
from proxy.commands.live.run import findings_of
from proxy.config.loader import load
from tests.support.steps import Headers, Step


def live(text: str, folder: Path, **environ: str) -> Live:
    """A configuration in YAML, with the data in ``folder`` and no listener of a standard port."""
    file = folder / "c.yaml"
    server = "" if "server:" in text else "server: {port: 0}\n"
    file.write_text(f"dataDir: {folder / 'data'}\n{server}{text}")
    return Live(load(file, environ, None).config, environ)


async def findings(text: str, folder: Path, **environ: str) -> Mapping[str, Finding]:
    found = await findings_of(live(text, folder, **environ))
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


async def finding(name: str, text: str, folder: Path, **environ: str) -> Finding:
    return (await findings(text, folder, **environ))[name]


def raw_answer(body: bytes, status: int) -> list[Step | bytes]:
    return [Headers(status, [("content-type", "application/json"), ("content-length", str(len(body)))]), body]
