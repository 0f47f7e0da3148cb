"""What an engine for containers counts as left behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.deploy import engine
from tests.deploy.engine import Engine, Output


def test_a_mounted_container_is_left_and_the_mount_of_the_driver_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, unmounted = tmp_path / "store-of-a-test", list[str]()
    folder.mkdir()
    container = f"{folder}/store/overlay/0123abcd/merged"

    def unmount(command: list[str], **_: object) -> None:
        unmounted.append(command[-1])

    monkeypatch.setattr(engine, "overlay_works", lambda _: True)
    monkeypatch.setattr(engine, "mounts_below", lambda _: [container, f"{folder}/store/overlay"])
    monkeypatch.setattr(Engine, "attempt", lambda *_: Output(0, ""))
    monkeypatch.setattr(subprocess, "run", unmount)
    assert Engine(folder).remove() == [container]
    assert unmounted == [container, f"{folder}/store/overlay"]
    assert not folder.exists()
