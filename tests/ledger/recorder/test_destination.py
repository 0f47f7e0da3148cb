"""Where the recorder's rows go."""

from __future__ import annotations

from pathlib import Path

from proxy.database.address import Address
from proxy.events.settings import BrokerSettings, EventSettings
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.broker import BrokerLedger
from proxy.ledger.recorder.destination import destination_of
from proxy.ledger.recorder.health import BROKER, DATABASE
from proxy.ledger.recorder.settings import RecorderSettings
from proxy.ledger.recorder.sqlite import SqliteLedger
from tests.ledger.recorder.fakes import ListLog


def test_the_mode_of_the_ledger_decides(tmp_path: Path) -> None:
    where = Address("sqlite", str(tmp_path / "sluice.db"))
    for ledger in (False, True):
        broker = BrokerSettings(("amqp://127.0.0.1:9/",), ledger=ledger)
        settings = RecorderSettings(str(tmp_path), where, events=EventSettings(broker=broker))
        found = destination_of(settings, OutboxBound(), ListLog())
        assert isinstance(found.ledger, BrokerLedger if ledger else SqliteLedger)
        assert (found.journal is not None) is ledger
        assert found.words is (BROKER if ledger else DATABASE)
