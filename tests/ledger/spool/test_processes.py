"""Real processes that are killed, and real disks that are full or read-only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ledger.spool.spools import read_all, reader, writer


@contextmanager
def gateway(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.ledger.spool.gateway", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[bytes]) -> Iterator[str]:
    assert process.stdout is not None
    return (line.decode().strip() for line in process.stdout)


def test_a_killed_gateway_loses_no_record_and_the_other_one_lives(tmp_path: Path) -> None:
    found = reader(tmp_path)
    with gateway(tmp_path) as killed, gateway(tmp_path) as other:
        lines, other_lines = lines_of(killed), lines_of(other)
        nonce, other_nonce = next(lines), next(other_lines)
        written: dict[str, list[bytes]] = {}
        while next(lines) != "300":
            for batch in found.read(10_000):
                written.setdefault(batch.segment.gateway, []).extend(payload for _, payload in batch.records)
        killed.kill()
        *_, last = lines
        while not next(state.drained for state in found.gateways() if state.nonce == nonce):  # the other one goes on
            for batch in found.read():
                written.setdefault(batch.segment.gateway, []).extend(payload for _, payload in batch.records)
        numbers = [int(payload.split(b"\0")[0]) for payload in written[nonce]]
        # Open and close record of each attempt, and of the last one perhaps no close record.
        assert numbers[: 2 * int(last)] == [number // 2 for number in range(2 * int(last))]
        assert set(numbers[2 * int(last) :]) <= {int(last), int(last) + 1}
        states = {state.nonce: (state.alive, state.drained) for state in found.gateways()}
        assert states == {nonce: (False, True), other_nonce: (True, False)}
        assert other.stdin is not None
        other.stdin.close()
        for _ in other_lines:
            pass  # its output may be full, and then it does not look at its input
        assert other.wait(30) == 0
    read_all(found)
    (state,) = (state for state in found.gateways() if state.nonce == other_nonce)
    assert (state.alive, state.drained, state.segments[-1].sealed) == (False, True, True)


def test_a_program_that_the_gateway_starts_holds_no_lock(tmp_path: Path) -> None:
    spool, found = writer(tmp_path), reader(tmp_path)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        assert [state.alive for state in found.gateways()] == [True]
        spool._leave()
        assert [state.alive for state in found.gateways()] == [False]
        assert child.poll() is None


def test_a_full_disk_refuses_opens_and_a_read_only_one_is_left(tmp_path: Path) -> None:
    apart = ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run([*apart, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no mount namespaces for this user")
    subprocess.run([*apart, sys.executable, "-m", "tests.ledger.spool.disks", str(tmp_path)], check=True)
