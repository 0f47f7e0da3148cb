"""The recorder as the child of a gateway."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import msgspec
import pytest
from msgspec import structs

from proxy.config.billing_schema import Billing
from proxy.config.schema import Config, Database
from proxy.events.base import EventReceiver
from proxy.events.settings import EventSettings
from proxy.ledger import child
from proxy.ledger.child import RecorderChild, RecorderState, settings_of
from proxy.ledger.output import RecorderOutput
from proxy.ledger.recorder.folders import has_segments, is_recorded, lock_recorder
from proxy.ledger.recorder.settings import RecorderSettings
from proxy.ledger.recorder.status import SILENT_SECS, RecorderStatus, write_status
from proxy.observe.log import Log
from proxy.runtime.loop import Loop
from tests.ledger.recorder.databases import migrated, query
from tests.ledger.recorder.fakes import WritingGateway
from tests.support.patience import until, within

# Takes the lock as a recorder does, and says what it was told; {end} is how it goes on.
STAND_IN = """
import sys
from pathlib import Path
from proxy.ledger.recorder.folders import lock_recorder
told = sys.stdin.read()
lock = lock_recorder(Path(sys.argv[1]))
if lock is None:
    sys.exit(75)
{end}
"""


class Lines:
    """A log, and its lines."""

    def __init__(self) -> None:
        self._written = io.BytesIO()
        self.log = Log(self._written, "info", readable=False)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self._written.getvalue().splitlines()]


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[RecorderSettings]:
    (tmp_path / "spool").mkdir()
    async with migrated("sqlite", tmp_path) as where:
        yield RecorderSettings(str(tmp_path / "spool"), where)


@asynccontextmanager
async def stand_in(settings: RecorderSettings, log: Lines, end: str, nonce: str = "") -> AsyncIterator[RecorderChild]:
    """A supervisor of a process that is no recorder, and does not end by itself."""
    command = (sys.executable, "-c", STAND_IN.format(end=end), settings.folder)
    supervisor = RecorderChild(settings, log.log, nonce, command)
    try:
        yield supervisor
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(child, "DRAIN_SECS", 0.0)
            await supervisor.stop()
        if supervisor.pid is not None:
            os.kill(supervisor.pid, signal.SIGKILL)
        await until(lambda: supervisor.pid is None, "the child to end")


async def test_rows_are_written_from_the_first_record_on_and_nothing_is_left(
    settings: RecorderSettings, log: Lines
) -> None:
    folder = Path(settings.folder)
    gateway = WritingGateway(folder)
    supervisor = RecorderChild(settings, log.log, gateway.spool.nonce)
    supervisor.start()
    supervisor.start()
    row = gateway.close(gateway.open())
    await until(lambda: supervisor.pid, "the recorder")
    assert supervisor.pid is not None
    assert os.getsid(supervisor.pid) == supervisor.pid  # a Ctrl-C is not for it
    await until(lambda: supervisor.state, "its status")
    assert supervisor.state is not None
    assert supervisor.state.up
    gateway.end()
    await within(supervisor.stop(), "the stop")
    assert await query(settings.database, 'SELECT id, "end" FROM ledger') == [(row.id, "ok")]
    await until(lambda: supervisor.pid is None, "the recorder to end")
    assert supervisor.state is None  # none is needed
    assert not has_segments(folder)
    assert log.lines == []
    assert supervisor.status is not None
    assert supervisor.status.rows == 1


async def test_a_recorder_that_hangs_counts_as_down(settings: RecorderSettings, log: Lines) -> None:
    folder = Path(settings.folder)
    lock = lock_recorder(folder)
    assert lock is not None
    supervisor = RecorderChild(settings, log.log, "")
    now = time.time()
    write_status(folder, RecorderStatus(1, now - 100, now - SILENT_SECS / 2, True, now - 100))
    assert supervisor.state == RecorderState(True, now - 100)
    write_status(folder, RecorderStatus(1, now - 100, now - SILENT_SECS - 1, True, now - 100))
    assert supervisor.state == RecorderState(False, now - SILENT_SECS - 1)
    lock.release()
    assert supervisor.state is None


async def test_what_an_earlier_gateway_left_is_written_at_the_start(settings: RecorderSettings, log: Lines) -> None:
    supervisor = RecorderChild(settings, log.log, "")
    supervisor.start_if_left()
    assert supervisor._supervising is None  # nothing is left
    gateway = WritingGateway(Path(settings.folder))
    gateway.open()
    gateway.die()
    supervisor.start_if_left()
    assert supervisor._supervising is not None
    await within(supervisor._supervising, "the recorder to end")
    assert await query(settings.database, 'SELECT "end" FROM ledger') == [("lost",)]
    assert [(line["message"], line["from"], line["level"]) for line in log.lines] == [
        ("A gateway died; the attempts that it left open count as lost.", "recorder", "warning")
    ]
    await supervisor.stop()


async def test_a_recorder_that_ends_is_started_again(
    settings: RecorderSettings, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "FIRST_PAUSE", 0.001)
    async with stand_in(settings, log, "print('words', file=sys.stderr); raise SystemExit(3)") as supervisor:
        supervisor.start()
        await until(lambda: len(log.lines) >= 4, "two recorders")
        assert supervisor.state is not None
        assert not supervisor.state.up
    texts = [line["message"] for line in log.lines]
    assert texts[:2] == ["words", "The recorder ended. It is started again."]
    assert log.lines[1]["status"] == 3


async def test_a_recorder_without_descriptors_of_ours_gets_its_settings_by_a_pipe(
    settings: RecorderSettings, log: Lines
) -> None:
    end = "from tests.ledger.recorder.fakes import sockets; import time\n"
    end += "print(told, len(sys.argv), sockets(), file=sys.stderr, flush=True); time.sleep(60)"
    with socket.create_server(("127.0.0.1", 0)):
        async with stand_in(settings, log, end) as supervisor:
            supervisor.start()
            await until(lambda: log.lines, "its words")
    told, *words = log.lines[0]["message"].rsplit(" ", 2)
    assert msgspec.json.decode(told, type=RecorderSettings) == structs.replace(settings, parent=os.getpid())
    assert words == ["2", "0"]  # sockets


async def test_of_two_gateways_one_has_the_recorder_and_the_other_takes_over(
    settings: RecorderSettings, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "LOOK_SECS", 0.01)
    lock = lock_recorder(Path(settings.folder))
    assert lock is not None
    async with stand_in(settings, log, "import time; time.sleep(60)") as supervisor:
        supervisor.start()
        await asyncio.sleep(0)
        assert supervisor.pid is None
        lock.release()
        await until(lambda: supervisor.pid and is_recorded(Path(settings.folder)), "a recorder")
    assert log.lines == []


async def test_other_settings_are_those_of_a_new_recorder(settings: RecorderSettings, log: Lines) -> None:
    """At once, and without a warning; the same ones change nothing."""
    end = "import time; print(told, file=sys.stderr, flush=True); time.sleep(60)"
    changed = structs.replace(settings, events=EventSettings((EventReceiver("broker"),)))
    async with stand_in(settings, log, end) as supervisor:
        supervisor.start()
        await until(lambda: len(log.lines) == 1, "the first recorder")
        first = supervisor.pid
        supervisor.adopt(settings)
        assert supervisor.pid == first
        supervisor.adopt(changed)
        await until(lambda: len(log.lines) == 2, "the second recorder")
        assert supervisor.pid not in (None, first)
        supervisor.adopt(changed)
        assert supervisor.pid is not None
    told = [msgspec.json.decode(line["message"], type=RecorderSettings) for line in log.lines]
    assert [each.events for each in told] == [EventSettings(), changed.events]


async def test_receivers_start_a_recorder(settings: RecorderSettings, log: Lines) -> None:
    end = "import time; print(told, file=sys.stderr, flush=True); time.sleep(60)"
    async with stand_in(settings, log, end) as supervisor:
        supervisor.adopt(structs.replace(settings, keep_days=3.0))
        assert supervisor._supervising is None
        supervisor.adopt(structs.replace(settings, events=EventSettings((EventReceiver("broker"),))))
        await until(lambda: log.lines, "the recorder")


async def test_a_recorder_that_cannot_be_started_is_told(
    settings: RecorderSettings, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = RecorderChild(settings, log.log, "", ("/nonexistent/python",))
    supervisor.start()
    await until(lambda: log.lines, "the notice")
    await supervisor.stop()
    assert log.lines[0]["message"] == "The recorder cannot be started."


async def test_a_recorder_that_ends_before_it_gets_its_settings_has_ended(
    settings: RecorderSettings, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*arguments: Any, **options: Any) -> Popen[bytes]:
        process = Popen(*arguments, **options)
        process.wait()
        return process

    monkeypatch.setattr(child, "Popen", ended)
    supervisor = RecorderChild(settings, log.log, "", (sys.executable, "-c", "raise SystemExit(7)"))
    supervisor.start()
    await until(lambda: log.lines, "the notice")
    await supervisor.stop()
    assert (log.lines[0]["message"], log.lines[0]["status"]) == ("The recorder ended. It is started again.", 7)


async def test_the_stop_does_not_wait_long_for_a_database_that_is_down(
    settings: RecorderSettings, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "DRAIN_SECS", 0.01)
    gateway = WritingGateway(Path(settings.folder))
    gateway.open()
    async with stand_in(settings, log, "import time; time.sleep(60)", gateway.spool.nonce) as supervisor:
        supervisor.start()
        await until(lambda: is_recorded(Path(settings.folder)), "the recorder")
        gateway.end()
        await within(supervisor.stop(), "the stop")
        await until(lambda: supervisor.pid is None, "SIGTERM")
    assert has_segments(Path(settings.folder))


def test_settings_are_those_of_the_configuration(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path), database=Database(url="postgresql://u:secret@h/d"))
    settings = settings_of(config)
    assert settings.folder == str(tmp_path / "spool")
    assert settings.database.target == "postgresql://u:secret@h/d"
    assert (settings.lost, settings.keep_days, settings.keep_hours_days) == ("estimate", 90, 730)
    assert "secret" not in repr(settings)
    assert settings.default_balance == 0


def test_the_default_balance_is_told_in_nano_usd(tmp_path: Path) -> None:
    billing = Billing(currency="EUR", usd_rate=0.9, default_balance=4.5)
    assert settings_of(Config(data_dir=str(tmp_path), billing=billing)).default_balance == 5 * 10**9


@pytest.mark.parametrize(
    ("written", "level", "message"),
    [
        (b'{"level": "error", "message": "m", "why": "w"}\n', "error", "m"),
        (b'{"level": "loud", "message": "m"}\n', "warning", "m"),
        (b"Traceback: {\n", "warning", "Traceback: {"),
        (b"[1]\n", "warning", "[1]"),
        (b"\xff\n", "warning", "\ufffd"),
    ],
)
async def test_lines_of_the_recorder_go_into_our_log(log: Lines, written: bytes, level: str, message: str) -> None:
    read_end, write_end = os.pipe()
    output = RecorderOutput(os.fdopen(read_end, "rb", buffering=0), log.log)
    for at in range(len(written)):
        output.feed(written[at : at + 1])
    os.write(write_end, b"rest")
    os.close(write_end)
    await within(output.ended.wait(), "the end of the output")
    assert [(line["level"], line["message"]) for line in log.lines] == [(level, message), ("warning", "rest")]


async def test_a_child_that_is_left_alone_holds_nothing_of_the_loop(settings: RecorderSettings, log: Lines) -> None:
    """A subprocess of uvloop's would be killed with its loop, or keep it from being closed."""
    loop = Loop()
    supervisor = RecorderChild(settings, log.log, "", (sys.executable, "-c", "import time; time.sleep(60)"))

    async def start_and_stop() -> int:
        supervisor.start()
        await until(lambda: supervisor.pid, "the child")
        pid = supervisor.pid
        assert pid is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(supervisor, "_is_awaited", lambda: False)
            await supervisor.stop()
        return pid

    try:
        pid = await asyncio.to_thread(loop.run_until_complete, start_and_stop())
    finally:
        loop.close()
    assert ended_by(pid, signal.SIGKILL) == -signal.SIGKILL


def ended_by(pid: int, number: int) -> int:
    """End our child, which must still run. Returns its exit status."""
    os.kill(pid, number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
