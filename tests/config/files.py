"""Loading a configuration from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from proxy.config.loader import Loaded, load
from proxy.errors import ConfigError

Files = Callable[..., Path]


def mistakes(path: Path | None, environ: Mapping[str, str] | None = None, **more: Path) -> list[str]:
    """All mistakes; the folder's name is left out of them."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {}, **more)
    folder = f"{path.parent}/" if path is not None else "\0"
    return [line.replace(folder, "") for line in caught.value.mistakes]


def loaded(path: Path, **environ: str) -> Loaded:
    return load(path, environ)
