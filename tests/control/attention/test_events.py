"""Troubles of events, by the status file that a recorder wrote."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from proxy.config.events_schema import Events, Webhook
from proxy.config.schema import Config, LedgerSettings
from proxy.control.attention.events import EventTroubles
from proxy.control.attention.trouble import Trouble
from proxy.events.base import webhook_name
from proxy.events.sending.status import ReceiverStatus
from proxy.ledger.recorder.status import RecorderStatus, write_status
from proxy.ledger.spool.folder import spool_folder

URL = "https://example.com/hook"
NAME = webhook_name(URL)
UP = ReceiverStatus(NAME, True, 5.0)
DOWN = ReceiverStatus(NAME, False, 7.0, waiting=12, oldest_secs=7300.0, error="status 500")


async def found(
    folder: Path,
    *receivers: ReceiverStatus,
    letters: int = -1,
    webhooks: int = 1,
    mode: Any = "database",
    **events: Any,
) -> list[Trouble]:
    config = Config(
        data_dir=str(folder),
        ledger=LedgerSettings(mode=mode),
        events=Events(webhooks=[Webhook(url=URL)] * webhooks, **events),
    )
    spool_folder(folder).mkdir(exist_ok=True)
    write_status(
        spool_folder(folder), RecorderStatus(1, 5.0, 9.0, True, 5.0, receivers=receivers, dead_letters=letters)
    )
    live: Any = SimpleNamespace(config=config)
    return await EventTroubles(live).find()


async def test_a_receiver_that_takes_events_is_no_trouble(tmp_path: Path) -> None:
    assert await found(tmp_path, UP, letters=0) == []


async def test_a_receiver_that_takes_none(tmp_path: Path) -> None:
    [trouble] = await found(tmp_path, DOWN)
    assert (trouble.severity, trouble.kind, trouble.what, trouble.since) == ("warning", "receiver", NAME, 7.0)
    assert trouble.why == "takes no events: status 500; 12 wait, the oldest is 2 hours old"


async def test_one_that_is_no_longer_configured_is_none(tmp_path: Path) -> None:
    assert await found(tmp_path, structs.replace(DOWN, name="webhook:old:1")) == []
    assert await found(tmp_path, DOWN, webhooks=0) == []


async def test_without_a_recorder_nothing_is_known(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path), events=Events(webhooks=[Webhook(url=URL)]))
    live: Any = SimpleNamespace(config=config)
    assert await EventTroubles(live).find() == []


async def test_dead_events_and_dead_letters(tmp_path: Path) -> None:
    events, letters = await found(tmp_path, structs.replace(UP, dead=3), letters=2)
    assert (events.severity, events.kind, events.what, events.count) == ("notice", "dead_events", NAME, 3)
    assert (letters.severity, letters.kind, letters.what, letters.count) == (
        *("warning", "dead_events", "Message broker"),
        2,
    )


@pytest.mark.parametrize(
    ("waiting", "on_full", "severity", "why"),
    [
        (950, "wait", "warning", "950 events wait, of at most 1000; then rows of the ledger wait in the spool"),
        (1000, "wait", "error", "1000 events wait, of at most 1000; rows of the ledger wait in the spool"),
        (1200, "forget", "error", "1200 events wait, of at most 1000; events are forgotten"),
    ],
)
async def test_an_outbox_that_fills(waiting: int, on_full: str, severity: str, why: str, tmp_path: Path) -> None:
    [trouble] = await found(tmp_path, structs.replace(UP, waiting=waiting), most_waiting=1000, on_full=on_full)
    assert (trouble.severity, trouble.what, trouble.why) == (severity, "Outbox", why)


async def test_in_mode_events_the_ledger_says_that_the_broker_is_down(tmp_path: Path) -> None:
    assert await found(tmp_path, DOWN, mode="events") == []
    [trouble] = await found(tmp_path, DOWN, mode="events", letters=1)
    assert trouble.kind == "dead_events"
