"""``sluice record``, within this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.__main__ import main
from proxy.ledger.recorder.folders import has_segments, lock_recorder
from tests.ledger.recorder.fakes import WritingGateway


def test_a_left_spool_is_written_and_a_taken_one_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ROUTER_CONFIG_PATH", "DATA_DIR", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data" / "spool"
    assert main(["record"]) == 0
    assert capfd.readouterr().out == f"record: nothing is left in {folder}\n"
    gateway = WritingGateway(folder)
    gateway.close(gateway.open())
    gateway.open()
    gateway.die()
    lock = lock_recorder(folder)
    assert lock is not None
    assert main(["record"]) == 75
    assert (
        capfd.readouterr().err
        == "record: the recorder of a running gateway writes them already; nothing is to be done\n"
    )
    lock.release()
    assert main(["record", "--once"]) == 0
    assert "A gateway died; the attempts that it left open count as lost.  attempts=1" in capfd.readouterr().err
    assert not has_segments(folder)
    assert main(["ledger", "verify"]) == 0
