"""The spool as a state machine: gateways write, end and die; the recorder reads, forgets and restarts; machines crash."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.ledger.full import SpoolFull
from proxy.ledger.spool.format import CLOSE, HEADER_BYTES, OPEN
from proxy.ledger.spool.reader import SpoolReader
from proxy.ledger.spool.writer import SpoolWriter
from tests.ledger.spool.spools import SEGMENT, Clock, close, reader, writer

Records = dict[str, list[bytes]]


def read_each(spool: SpoolReader, most: int = 1 << 20) -> Records:
    """All payloads of each gateway."""
    found: Records = {}
    while batches := spool.read(most):
        for batch in batches:
            found.setdefault(batch.segment.gateway, []).extend(payload for _, payload in batch.records)
    return found


class Spools(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        nonces = count(1)
        self.patch = patch("secrets.token_hex", lambda length: f"{next(nonces):a>16}")  # the same in each run
        self.patch.start()
        self.root = Path(tempfile.mkdtemp())
        self.folder = self.root / "spool"
        self.copies = count()
        self.numbers = count()
        self.clock = Clock()
        self.calls: list[Callable[[], None]] = []
        self.writers: list[SpoolWriter] = []
        self.written: Records = {}
        self.lengths: dict[bytes, int] = {}
        self.durable: set[bytes] = set()
        self.forgotten: set[bytes] = set()
        self.start()
        self.reader = reader(self.folder)
        self.seen: Records = {}
        self.segments: dict[str, list[bytes]] = {}  # by name of file, as this reader saw them

    def teardown(self) -> None:
        self.patch.stop()
        self.reader.close()
        for each in self.writers:
            each.end()
        shutil.rmtree(self.root)

    def left(self) -> Records:
        """What a reader finds that begins now."""
        kept = {
            nonce: [each for each in all_of if each not in self.forgotten] for nonce, all_of in self.written.items()
        }
        return {nonce: payloads for nonce, payloads in kept.items() if payloads}

    @rule()
    @precondition(lambda self: len(self.writers) < 3)
    def start(self) -> None:
        new = writer(self.folder, limit_bytes=6 * SEGMENT, now=self.clock, in_thread=self.calls.append)
        self.writers.append(new)
        self.written[new.nonce] = []

    @precondition(lambda self: self.writers)
    @rule(data=st.data(), kind=st.sampled_from([OPEN, CLOSE]), length=st.integers(8, 1200), times=st.integers(1, 5))
    def write(self, data: st.DataObject, kind: int, length: int, times: int) -> None:
        spool = data.draw(st.sampled_from(self.writers))
        for _ in range(times):
            payload = b"%08d" % next(self.numbers) + b"x" * (length - 8)
            if kind == OPEN:
                try:
                    spool.open(payload)
                except SpoolFull:
                    assert spool.full
                    return
            else:
                close(spool, payload)
            self.written[spool.nonce].append(payload)

    @precondition(lambda self: self.calls)
    @rule()
    def run_a_thread(self) -> None:
        self.calls.pop(0)()

    @precondition(lambda self: self.writers)
    @rule(data=st.data(), killed=st.booleans())
    def stop(self, data: st.DataObject, killed: bool) -> None:
        spool = data.draw(st.sampled_from(self.writers))
        self.writers.remove(spool)
        if killed:
            spool._leave()  # what the kernel does
        else:
            spool.end()

    @rule()
    def wait(self) -> None:
        self.clock.now += 1

    @rule(most=st.sampled_from([1, 3000, 1 << 20]))
    def read(self, most: int) -> None:
        for batch in self.reader.read(most):
            assert batch.records
            payloads = [payload for _, payload in batch.records]
            self.seen.setdefault(batch.segment.gateway, []).extend(payloads)
            self.segments.setdefault(batch.segment.file, []).extend(payloads)

    @rule()
    def sync(self) -> None:
        self.reader.sync()
        self.durable.update(payload for all_of in self.written.values() for payload in all_of)

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        drained = [
            segment.name for gateway in self.reader.gateways() for segment in gateway.segments if segment.drained
        ]
        if drained:
            name = data.draw(st.sampled_from(drained))
            self.reader.forget(name)
            self.forgotten.update(self.segments.pop(name.file, ()))

    @rule()
    def restart_the_recorder(self) -> None:
        self.reader.close()
        self.reader = reader(self.folder)
        self.seen, self.segments = {}, {}

    @rule()
    def read_all_anew(self) -> None:
        other = reader(self.folder)
        assert read_each(other) == self.left()
        alive = {gateway.nonce for gateway in other.gateways() if gateway.alive}
        assert alive == {each.nonce for each in self.writers} & {gateway.nonce for gateway in other.gateways()}
        other.close()

    @rule()
    def crash_of_all_processes(self) -> None:
        """All that was written is there, each gateway is dead, and every segment can go."""
        other = reader(self.copy())
        assert read_each(other, most=2000) == self.left()
        gateways = other.gateways()
        assert all(gateway.drained and not gateway.alive for gateway in gateways)
        for gateway in gateways:
            for segment in gateway.segments:
                other.forget(segment.name)
        assert other.gateways() == []

    @rule(data=st.data())
    def crash_of_the_machine(self, data: st.DataObject) -> None:
        """Any page that was not synced is lost. What was synced before is there, and what is missing behind is told."""
        folder = self.copy()
        lost_pages = 0
        for file in sorted(folder.iterdir()):
            content = file.read_bytes()
            synced = max((content.find(each) + len(each) for each in self.durable if each in content), default=0)
            first = max(synced, HEADER_BYTES)
            begin = data.draw(st.integers(first, len(content)))
            end = data.draw(st.integers(begin, len(content)))
            lost_pages += any(content[begin:end])
            file.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
        notices: list[str] = []
        other = reader(folder, notices.append)
        found = read_each(other)
        for nonce, payloads in self.left().items():
            read = found.get(nonce, [])
            assert [each for each in payloads if each in read] == read
            assert {each for each in payloads if each in self.durable} <= set(read)
        assert len(notices) <= lost_pages
        assert all(gateway.drained for gateway in other.gateways())
        other.close()

    @invariant()
    def nothing_is_read_that_was_not_written(self) -> None:
        for nonce, payloads in self.seen.items():
            assert payloads == [each for each in self.written[nonce] if each in set(payloads)]

    def copy(self) -> Path:
        return Path(shutil.copytree(self.folder, self.root / f"copy-{next(self.copies)}"))


TestSpools = Spools.TestCase
TestSpools.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=40)
