from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.watch import FileWatch, Stamp, stamp


def test_every_way_to_change_a_file_changes_its_stamp(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    assert stamp(path) is None
    path.write_text("1")
    seen = {stamp(path)}
    path.write_text("12")  # written over
    seen.add(stamp(path))
    os.utime(path, ns=(1, 1))  # touched
    seen.add(stamp(path))
    other.write_text("34")
    os.utime(other, ns=(1, 1))
    other.replace(path)  # replaced by one of the same size and time
    seen.add(stamp(path))
    assert len(seen) == 4


def test_swapping_a_folder_symlink_changes_the_files_below_it(tmp_path: Path) -> None:
    # As Kubernetes mounts a ConfigMap: config.yaml -> ..data/config.yaml, and ..data is turned.
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "config.yaml").write_text("same")
        os.utime(tmp_path / version / "config.yaml", ns=(1, 1))
    (tmp_path / "..data").symlink_to("v1")
    path = tmp_path / "config.yaml"
    path.symlink_to("..data/config.yaml")
    before = stamp(path)
    (tmp_path / "new").symlink_to("v2")
    (tmp_path / "new").replace(tmp_path / "..data")
    assert stamp(path) not in (None, before)


A = Path("a")


def look(*stamps: int | None, read: int | None = 1) -> list[bool]:
    """Results of a watch for a file read with stamp ``read`` that then has these stamps."""

    def made(number: int | None) -> Stamp | None:
        return None if number is None else (0, 0, 0, number)

    coming = iter(stamps)
    watch = FileWatch(lambda path: made(next(coming)))
    return [bool(watch.changed({A: made(read)})) for _ in stamps]


def test_an_unchanged_file_is_not_reported() -> None:
    assert look(1, 1, 1) == [False, False, False]


def test_a_change_is_reported_when_it_is_stable() -> None:
    assert look(1, 2, 3, 4, 4) == [False, False, False, False, True]


def test_a_deleted_file_is_not_reported_until_it_is_back() -> None:
    assert look(1, None, None, 2, 2) == [False, False, False, False, True]


def test_a_restored_file_is_not_reported() -> None:
    assert look(1, None, 1, 1) == [False, False, False, False]


def test_a_new_file_is_reported() -> None:
    assert look(None, 1, 1, read=None) == [False, False, True]


@given(st.lists(st.none() | st.integers(1, 3), max_size=10))
def test_only_stable_changes_are_reported(seen: list[int | None]) -> None:
    pairs = zip([None, *seen], seen, strict=False)
    assert look(*seen) == [now is not None and now == before and now != 1 for before, now in pairs]
