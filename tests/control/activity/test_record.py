"""Records of exchanges are bounded in size."""

from __future__ import annotations

from proxy.control.activity.record import TEXT, record_of
from proxy.observe.truncate import NAME
from tests.observe.exchanges import settled


def test_text_from_clients_and_providers_is_truncated() -> None:
    facts = {"model": "m" * 5000, "response_model": "r" * 5000, "error": "e" * 5000, "error_detail": "d" * 50_000}
    record = record_of(settled(**facts), 1, None)
    assert [len(each) for each in (record.model, record.response_model, record.error)] == [NAME + 1] * 3
    assert len(record.error_detail) == TEXT + 1


def test_the_duration_is_in_seconds() -> None:
    assert record_of(settled(began=100.0, ended=103.5), 1).duration == 3.5


def test_an_exchange_without_an_end_has_no_duration() -> None:
    assert record_of(settled(began=100.0, ended=None), 1).duration == 0.0
