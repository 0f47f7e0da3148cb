"""A short day of ``tests.ledger.day``, and the disagreements that its comparison finds."""

from __future__ import annotations

from collections import Counter

from tests.ledger.day import day
from tests.ledger.load.audit import Audit
from tests.ledger.load.books import Books, Entry
from tests.ledger.load.prices import PROVIDERS
from tests.ledger.load.rows import LedgerRow, ProviderSums


async def test_what_ten_providers_bill_is_what_the_ledger_knows() -> None:
    found = await day(600, seed=1, callers=60)
    assert found.audit.wrong == []
    assert found.attempts >= 600
    totals = [sum(column) for column in zip(*found.audit.accounts, strict=True)]
    assert totals[0] == found.attempts == sum(totals[1:5])


def books(**changes: object) -> Books:
    """Of two requests at the first provider, one of which reported its usage, and one at the second."""
    found = Books()
    found.received = Counter({(1, 0): 1, (2, 0): 1, (3, 1): 1})
    found.billed = [Entry(1, 0, 100), Entry(3, 1, 300)]
    for name, value in changes.items():
        setattr(found, name, value)
    return found


ROWS = [
    LedgerRow(1, 1, 0, "ok", "provider", 100),
    LedgerRow(2, 1, 0, "timeout", "unknown", None),
    LedgerRow(3, 1, 1, "ok", "provider", 300),
]
ONE, TWO, THREE = ROWS


def test_a_ledger_that_is_right_has_no_disagreement() -> None:
    audit = Audit(ROWS, books())
    audit.compare_sums({0: ProviderSums(2, 0, 1, 100, 0), 1: ProviderSums(1, 0, 0, 300, 0)})
    assert (audit.wrong, audit.missing, audit.doubled, audit.unseen) == ([], 0, 0, 0)


def test_every_kind_of_disagreement_is_found() -> None:
    forgeries = {
        "a row is missing": Audit([ONE, THREE], books()),
        "a row twice": Audit([*ROWS, TWO], books()),
        "a row of an attempt that was not sent": Audit(
            [*ROWS, ONE._replace(request=4, source="none", cost=0)], books()
        ),
        "a nano-dollar too much": Audit([ONE._replace(cost=101), TWO, THREE], books()),
        "the costs of two requests exchanged": Audit([ONE, TWO, THREE._replace(cost=100)], books()),
        "a cost of the wrong provider": Audit(ROWS, books(billed=[Entry(1, 1, 100), Entry(3, 1, 300)])),
        "an answer whose usage was not read": Audit([ONE._replace(source="estimated"), TWO, THREE], books()),
        "an unknown cost of 0": Audit([ONE, TWO._replace(cost=0), THREE], books()),
        "a bill is missing": Audit(ROWS, books(billed=[Entry(1, 0, 100)])),
    }
    assert [name for name, audit in forgeries.items() if not audit.wrong] == []
    audit = Audit(ROWS, books())
    audit.compare_sums({0: ProviderSums(2, 0, 1, 100, 1), 1: ProviderSums(1, 0, 0, 300, 0)})
    assert len(audit.wrong) == 1


def test_a_request_that_was_sent_again_has_one_row_at_least() -> None:
    again = books(received=Counter({(1, 0): 2, (2, 0): 1, (3, 1): 1}), repeated=Counter({(1, 0): 1}))
    assert Audit(ROWS, again).wrong == []
    assert Audit(ROWS, again).repeated == 1
    gone = books(received=Counter({(1, 0): 1, (2, 0): 1, (3, 1): 1}), repeated=Counter({(2, 0): 1}))
    assert Audit([ONE, THREE], gone).missing == 1


def test_usage_may_be_unread_where_the_gateway_left() -> None:
    billed = [Entry(1, 0, 100), Entry(2, 0, 50), Entry(3, 1, 300)]
    audit = Audit(ROWS, books(billed=billed))
    assert (audit.wrong, audit.unread) == ([], 1)
    assert len(audit.accounts) == PROVIDERS
    assert (audit.accounts[0].billed, audit.accounts[0].cost, audit.accounts[0].unread) == (150, 100, 50)
