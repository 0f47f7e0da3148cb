"""What a full outbox holds or forgets."""

from __future__ import annotations

from proxy.ledger.recorder.bound import OutboxBound
from tests.ledger.recorder.fakes import ListLog


def test_a_full_outbox_holds_rows_or_forgets_events() -> None:
    wait, forget = OutboxBound(), OutboxBound("forget")
    assert not any((wait.holds, wait.forgets, forget.holds, forget.forgets))
    wait.full = forget.full = True
    assert (wait.holds, wait.forgets) == (True, False)
    assert (forget.holds, forget.forgets) == (False, True)


def test_a_change_of_forgetting_is_logged_once() -> None:
    bound, log = OutboxBound("forget"), ListLog()
    for full in (False, True, True, False, False):
        bound.full = full
        bound.log_forgetting(log)
    assert [line.split()[0] for line in log.lines] == ["warning", "info"]
