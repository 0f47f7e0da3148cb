"""The JavaScript SDKs in a process of Node.js."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.clients.installed import modules
from tests.deploy.tools import tool
from tests.support.patience import within

SCRIPT = Path(__file__).with_name("sdks.mjs")


class Sdks:
    """``with Sdks() as sdks``: each call is one conversation, one after the other."""

    def __enter__(self) -> Sdks:
        self._start()
        return self

    def _start(self) -> None:
        command = [str(tool("node")), str(SCRIPT), str(modules())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    async def call(self, sdk: str, **members: Any) -> dict[str, Any]:
        """What the SDK made of the answers: ``text``, ``pieces``, ``calls``, ``usage``, ``finish``, ``error``."""
        line = json.dumps({"sdk": sdk} | members)
        if self._process.poll() is not None:
            self._start()
        try:
            answer: dict[str, Any] = await within(asyncio.to_thread(self._call, line), f"an answer to {line}")
        except BaseException:
            self._process.kill()  # else the thread would wait for it
            raise
        return answer

    def _call(self, line: str) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())
