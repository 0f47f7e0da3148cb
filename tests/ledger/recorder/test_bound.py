"""What a full outbox holds or forgets."""

from __future__ import annotations

from proxy.ledger.recorder.bound import OutboxBound


def test_a_full_outbox_holds_rows_or_forgets_events() -> None:
    wait, forget = OutboxBound(), OutboxBound("forget")
    assert not any((wait.holds, wait.forgets, forget.holds, forget.forgets))
    wait.full = forget.full = True
    assert (wait.holds, wait.forgets) == (True, False)
    assert (forget.holds, forget.forgets) == (False, True)
