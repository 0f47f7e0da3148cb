"""Open files and the folder for data."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.commands.live.machine import data_dir, open_files
from proxy.config.schema import ServerSettings


class Usage(NamedTuple):
    free: int


def test_the_limit_of_open_files_is_compared_with_the_connections() -> None:
    server = ServerSettings(max_connections=1000, max_in_flight=500)
    assert open_files(1700, server).level == "ok"
    low = open_files(1699, server)
    assert low.level == "warning"
    assert "at most 1699" in low.text
    assert "1700; raise the limit" in low.text
    assert open_files(resource.RLIM_INFINITY, server).level == "ok"


def test_a_writable_folder_is_ok_and_a_missing_one_is_not_made(tmp_path: Path) -> None:
    assert data_dir(tmp_path).text.startswith(f"{tmp_path} is writable, ")
    missing = tmp_path / "a" / "b"
    assert "will be made when it is needed" in data_dir(missing).text
    assert not (tmp_path / "a").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "data"):
        found = data_dir(place)
        assert found.level == "FAILED"
        assert f"{tmp_path / 'file'} is not a folder" in found.text


def test_a_folder_that_cannot_be_written_fails() -> None:
    # For root as well: no files can be made there.
    found = data_dir(Path("/proc/self"))
    assert found.level == "FAILED"
    assert "/proc/self is not writable for user" in found.text


def test_little_free_space_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(3 << 20))
    found = data_dir(tmp_path)
    assert found.level == "warning"
    assert "only 3 MB left" in found.text
