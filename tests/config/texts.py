"""Loading a configuration from its text and variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.loader import Loaded, load
from proxy.errors import ConfigError

SECRET = "a-secret-of-exactly-32-bytes-long"


def loaded(folder: Path, text: str = "{}", **environ: str) -> Loaded:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, environ)


def mistakes(folder: Path, text: str = "{}", **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **environ)
    return [line.removeprefix(f"{folder}/") for line in caught.value.mistakes]
