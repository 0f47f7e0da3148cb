"""The generated token: made once, stored, readable by its owner only."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from proxy.control.access.token_file import NAME, read_or_make
from proxy.errors import ConfigError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_token_is_made_once_and_then_read(tmp_path: Path) -> None:
    token = read_or_make(tmp_path)
    assert len(token) >= 43
    assert read_or_make(tmp_path) == token
    assert read_or_make(tmp_path / "other") != token


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    read_or_make(folder)
    assert (mode(folder), mode(folder / NAME)) == (0o700, 0o600)


def test_no_temporary_file_is_left(tmp_path: Path) -> None:
    read_or_make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_processes_that_start_together_agree_on_one_token(tmp_path: Path) -> None:
    together = Barrier(8)

    def start() -> str:
        together.wait()
        return read_or_make(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        assert len({future.result() for future in [pool.submit(start) for _ in range(8)]}) == 1


def test_white_space_around_a_token_is_ignored(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("my-own-token\r\n")
    assert read_or_make(tmp_path) == "my-own-token"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"two\nlines\n", b"t\xc3\xb6ken", b"a\x00b"])
def test_invalid_content_is_an_error_that_names_the_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_or_make(tmp_path)
    assert str(tmp_path / NAME) in error.value.mistakes[0]
    assert (tmp_path / NAME).read_bytes() == content


def test_an_unreadable_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(ConfigError, match="directory") as error:
        read_or_make(tmp_path)
    assert str(tmp_path / NAME) in error.value.mistakes[0]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as error:
        read_or_make(tmp_path / "file" / "data")
    assert str(tmp_path / "file" / "data") in error.value.mistakes[0]


def test_a_dangling_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError):
        read_or_make(tmp_path)
