"""Commands within this process, in a folder of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from proxy.__main__ import main


class Done(NamedTuple):
    status: int
    out: str
    err: str


class Commands:
    """Runs commands with a configuration, without this process's environment."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], config: Any
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        self._file = folder / "config.yaml"
        self.configure(config)

    def configure(self, config: Any) -> None:
        self._file.write_text(yaml.safe_dump({"dataDir": str(self.folder)} | config))

    def run(self, *words: str) -> Done:
        with self._monkeypatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr("os.environ", {})
            try:
                status = main([*words[:2], "--config", str(self._file), *words[2:]])
            except SystemExit as wrong:
                status = int(wrong.code or 0)
        return Done(status, *self._capfd.readouterr())
