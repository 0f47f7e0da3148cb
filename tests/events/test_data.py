from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from proxy.database.transfers import Transaction
from proxy.events.cloudevent import encode
from proxy.events.data import transaction_event


def test_a_transfer_as_its_account_sees_it() -> None:
    made = Transaction("c1", 7.5, -1_500_000_000, "Call", "r1", 0.9)
    event = transaction_event("ann", made, balance=98_500_000_000, sequence=3)
    assert (event.id, event.type, event.time, event.subject) == ("txn_c1", "transaction_created", 7.5, "ann")
    told = json.decode(encode(event))
    assert told["sequence"] == f"{3:020}"
    assert told["data"] == {
        "id": "c1",
        "at": 7.5,
        "account": "ann",
        "sequence": 3,
        "amount": -1_500_000_000,
        "amount_usd": -1.5,
        "balance": 98_500_000_000,
        "balance_usd": 98.5,
        "description": "Call",
        "request_id": "r1",
        "usd_rate": 0.9,
    }


def test_an_event_that_is_told_again_has_neither_number_nor_balance() -> None:
    told = json.decode(encode(transaction_event("ann", Transaction("c1", 7.5, 1, ""), balance=None, sequence=0)))
    assert "sequence" not in told
    assert [told["data"][name] for name in ("sequence", "balance", "balance_usd")] == [None, None, None]


@given(st.floats())
def test_any_time_can_be_written(at: float) -> None:
    event = transaction_event("ann", Transaction("c1", at, 1, ""), balance=None, sequence=0)
    assert json.decode(encode(event))["time"].endswith("Z")
