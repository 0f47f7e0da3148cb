"""The examples of the READMEs, as pasted, against a real gateway and two real backends."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.answers import json_answer
from tests.support.gateway import ADMIN, Gateway, to_config
from tests.support.machine import debian_program
from tests.support.patience import within
from tests.support.upstream import Upstream

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "proxy" / "services" / "README.md"
FIRST_README = ROOT / "README.md"
PORTS = ("9001", "9002")
SERVER = "python3 -m http.server 9000 --bind 127.0.0.1 &\n"


def blocks(language: str, path: Path = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)


class Pasted:
    """A gateway, and the ports of the README's backends."""

    def __init__(self, gateway: Gateway, ports: list[str], folder: Path) -> None:
        self._gateway = gateway
        self._ports = ports
        self._folder = folder

    async def run(self, text: str, *command: str) -> str:
        """The output of the text in a program's standard input; an AssertionError if it fails."""
        for port, own in zip(PORTS, self._ports, strict=True):
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{own}").replace(f", {port},", f", {own},")
        text = text.replace("http://127.0.0.1:8080", self._gateway.url)
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "SLUICE_URL": self._gateway.url}
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self._folder,
            env=environ | {"SLUICE_ADMIN_TOKEN": ADMIN},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await within(process.communicate(text.encode()), "the example to end")
        assert process.returncode == 0, output.decode()
        return output.decode()


@pytest.fixture
async def pasted(tmp_path: Path) -> AsyncIterator[Pasted]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "admin-token").write_text(ADMIN)
    async with Upstream() as first, Upstream() as second:
        for each in (first, second):
            each.on(lambda request: json_answer("served"))
        async with Gateway({"dataDir": str(data), "database": {"url": f"sqlite:///{data}/sluice.db"}}) as gateway:
            yield Pasted(gateway, [str(first.port), str(second.port)], tmp_path)


async def test_the_examples_with_curl_run(pasted: Pasted) -> None:
    debian_program("curl", "curl")
    output = await pasted.run("\n".join(blocks("sh")), "bash", "-eu")
    assert "served" in output
    assert '"drained":true' in output
    assert '"kind":"service"' in output


async def test_the_example_of_the_first_readme_runs(pasted: Pasted) -> None:
    debian_program("curl", "curl")
    [text] = [each for each in blocks("sh", FIRST_README) if SERVER in each]
    # Its server is replaced by the backend, as nothing says when it listens.
    output = await pasted.run(text.replace(SERVER, "").replace("127.0.0.1:9000", "127.0.0.1:9001"), "bash", "-eu")
    assert output.endswith('"served"')


async def test_the_example_with_python_runs(pasted: Pasted) -> None:
    [text] = blocks("python")
    lines = (await pasted.run(text, sys.executable, "-")).splitlines()
    assert lines[0] == '200 "served"'
    assert lines[1] == "degraded"
    assert lines[2].endswith(" 2.0")


def test_the_example_of_the_configuration_is_one() -> None:
    [text] = blocks("yaml")
    config = to_config(msgspec.yaml.decode(text.encode(), type=dict[str, object]))
    assert [each.weight for each in config.services["backend"].addresses] == [1, 2]
    assert config.routes[0].service == "backend"


def test_the_example_of_model_servers_is_one() -> None:
    [text] = [each for each in blocks("yaml", FIRST_README) if "service://" in each]
    config = to_config(msgspec.yaml.decode(text.encode(), type=dict[str, object]))
    assert config.services["llm"].consul is not None
    assert config.providers["own"].services == ("llm",)
