from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Writes config.yaml, and models.yaml if it is given, and returns the first one's path."""

    def write(config: str, models: str | None = None) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(config)
        if models is not None:
            (tmp_path / "models.yaml").write_text(models)
        return path

    return write
