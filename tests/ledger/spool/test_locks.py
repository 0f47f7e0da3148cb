from __future__ import annotations

import os
from pathlib import Path

from proxy.ledger.spool.locks import RecorderLock


def test_one_recorder_works_in_a_folder(tmp_path: Path) -> None:
    one, other = RecorderLock(tmp_path), RecorderLock(tmp_path)
    assert one.acquire()
    assert one.acquire()
    assert not other.acquire()
    one.release()
    assert other.acquire()
    other.release()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    if not (child := os.fork()):
        os._exit(not RecorderLock(tmp_path).acquire())
    assert os.waitpid(child, 0)[1] == 0
    one = RecorderLock(tmp_path)
    assert one.acquire()
    one.release()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    one, other = RecorderLock(tmp_path), RecorderLock(tmp_path)
    assert one.acquire()
    told, ended = os.pipe(), os.pipe()
    if not (child := os.fork()):
        os.write(told[1], b"x")  # its copies are closed by now
        os.read(ended[0], 1)
        os._exit(0)
    try:
        os.read(told[0], 1)
        one.release()
        assert other.acquire()
    finally:
        os.write(ended[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*told, *ended):
            os.close(descriptor)
