"""Send an attack while measuring the gateway's memory and health."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from pathlib import Path

from msgspec import Struct

from tests.hostile.attacks import Attack
from tests.hostile.provider import KEY

PIECE = 256 * 1024
PATIENCE = 30.0  # seconds that an attack may take
STUCK = 3.0  # seconds without a byte taken, after which a client that reads nothing leaves
PAUSE = 0.02  # between two health checks
_peak = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE).search


class Target(Struct):
    """A gateway; ``lines``: header lines with a credential, ``model``: one that it serves."""

    address: tuple[str, int]
    lines: bytes
    model: bytes


class Outcome(Struct):
    """``peak``: bytes of resident memory, 0 where unknown; ``slowest``: seconds of the slowest health check."""

    attack: Attack
    status: int
    peak: int
    slowest: float
    wrong: str


class Memory:
    """The peak of a process since the last ``reset``; 0 without a ``pid``."""

    def __init__(self, pid: int | None) -> None:
        self._folder = Path(f"/proc/{pid}") if pid is not None else None

    def reset(self) -> None:
        if self._folder is not None:
            (self._folder / "clear_refs").write_text("5")

    def peak(self) -> int:
        if self._folder is None:
            return 0
        found = _peak((self._folder / "status").read_text())
        return int(found[1]) * 1024 if found else 0


class Health(threading.Thread):
    """Requests ``/health/live`` in a loop, each time on a new connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._stopped = threading.Event()
        self._slowest = 0.0
        self.checks = 0
        self.failed = 0

    def run(self) -> None:
        while not self._stopped.wait(PAUSE):
            began = time.monotonic()
            try:
                with socket.create_connection(self._address, timeout=PATIENCE) as connection:
                    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    self.failed += not connection.recv(4096).startswith(b"HTTP/1.1 200")
            except OSError:
                self.failed += 1
            self.checks += 1
            self._slowest = max(self._slowest, time.monotonic() - began)

    def slowest(self) -> float:
        """Since the last call, in seconds, after one more check that began later than this call."""
        seen = self.checks
        deadline = time.monotonic() + PATIENCE
        while self.checks < seen + 2 and time.monotonic() < deadline:
            time.sleep(PAUSE)
        slowest, self._slowest = self._slowest, 0.0
        return slowest

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def play(attack: Attack, target: Target, memory: Memory, health: Health) -> Outcome:
    request = attack.request(target.lines, target.model)
    memory.reset()
    health.slowest()
    with socket.create_connection(target.address, timeout=PATIENCE) as connection:
        if attack.statuses is None:
            _send_and_ignore(connection, request)
            answer = b""
        else:
            answer = _exchange(connection, request)
        del request
        peak, slowest = memory.peak(), health.slowest()
    status = int(answer[9:12]) if answer[:9] == b"HTTP/1.1 " and answer[9:12].isdigit() else 0
    return Outcome(attack, status, peak, slowest, _mistake(attack, status, answer))


def _mistake(attack: Attack, status: int, answer: bytes) -> str:
    if KEY.encode() in answer:
        return "the answer quotes the provider's key"
    if attack.statuses is None or (not attack.statuses and status):
        return ""
    return "" if status in attack.statuses else f"answered {status or 'nothing'}"


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send all of it, or as much as the peer accepts, and read the response."""
    deadline = time.monotonic() + PATIENCE
    view = memoryview(request)
    with contextlib.suppress(OSError):  # an early refusal closes the connection, and is read below
        for start in range(0, len(view), PIECE):
            connection.sendall(view[start : start + PIECE])
    answer = bytearray()
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline and (piece := connection.recv(65536)):
            answer += piece
    return bytes(answer)


def _send_and_ignore(connection: socket.socket, request: bytes) -> None:
    """Send all of it and read nothing, until the peer stops reading."""
    connection.settimeout(STUCK)
    view = memoryview(request)
    with contextlib.suppress(OSError):
        for start in range(0, len(view), PIECE):
            connection.sendall(view[start : start + PIECE])
    time.sleep(STUCK)
