"""After a storm of faults the records of clients, gateway and providers agree on every request, and on every cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from msgspec.structs import replace

from proxy.ledger.row import Row
from tests.storm.accounts import Ledger
from tests.storm.run import storm

LIMIT = 60.0  # seconds; only a hang exceeds it


@pytest.mark.parametrize(("seed", "hedge"), [(1, 0), (2, 0), (3, 20)])
async def test_clients_gateway_providers_and_metrics_agree_on_every_request(seed: int, hedge: int) -> None:
    ledger = await storm(200, seed, LIMIT, hedge)
    assert ledger.wrong == []
    assert ledger.endings.total() == 200


async def test_every_forged_disagreement_is_found() -> None:
    ledger = await storm(100, 4, LIMIT)
    assert _again(ledger).wrong == []
    accounts, lines, requests, page, rows = ledger.inputs
    whole = next(account for account in accounts if account.ending == "complete")
    line = next(line for line in lines if line["request_id"] == whole.name)
    others = [each for each in lines if each is not line]
    answered = next(each for each in requests if each.name == whole.name)
    silent = [each for each in requests if each is not answered]
    priced = [each for each in rows if each.cost and each.usage_source == "provider"]
    row, other = next((one, two) for one, two in pairwise(priced) if one.provider == two.provider)
    failed = next(each for each in rows if each.usage_source == "unknown")
    more = '\nllm_cost_usd_total{provider="one",model="m",source="operator"} 0.000000001\n'

    def changed(row: Row = row, rows: Sequence[Row] = rows, **changes: object) -> list[Row]:
        return [replace(each, **changes) if each is row else each for each in rows]

    moved = changed(other, changed(cost=row.cost + 1), cost=other.cost - 1)
    forgeries = {
        "a line is missing": (accounts, others, requests, page, rows),
        "a duplicate line": (accounts, [*lines, line], requests, page, rows),
        "another outcome": (accounts, [*others, line | {"outcome": "broken"}], requests, page, rows),
        "another status": (accounts, [*others, line | {"status": 201}], requests, page, rows),
        "another number of attempts": (accounts, [*others, line | {"attempts": 9}], requests, page, rows),
        "a provider got no request": (accounts, lines, silent, page, rows),
        "a provider got it twice": (accounts, lines, [*requests, answered], page, rows),
        "a client got an error": (
            [*(each for each in accounts if each is not whole), replace(whole, ending="in-band error")],
            lines,
            requests,
            page,
            rows,
        ),
        "a client record is missing": ([each for each in accounts if each is not whole], lines, requests, page, rows),
        "one more request in the metrics": (
            accounts,
            lines,
            requests,
            page + '\nllm_requests_total{outcome="ok"} 1\n',
            rows,
        ),
        "a request is still in flight": (accounts, lines, requests, page + "\nllm_requests_in_flight 1\n", rows),
        "a row is missing": (accounts, lines, requests, page, [each for each in rows if each is not row]),
        "a duplicate row": (accounts, lines, requests, page, [*rows, row]),
        "a nano-dollar too much": (accounts, lines, requests, page, changed(cost=row.cost + 1)),
        "a nano-dollar that moved": (accounts, lines, requests, page, moved),
        "a token too much": (accounts, lines, requests, page, changed(output=(row.output or 0) + 1)),
        "an estimate instead of a report": (accounts, lines, requests, page, changed(usage_source="estimated")),
        "an unknown cost of 0": (accounts, lines, requests, page, changed(failed, cost=0)),
        "a bill is missing": (accounts, lines, [*silent, replace(answered, bill=None)], page, rows),
        "other costs in the metrics": (accounts, lines, requests, page + more, rows),
    }
    unseen = [forgery for forgery, inputs in forgeries.items() if not _again(ledger, inputs).wrong]
    assert unseen == []


def _again(ledger: Ledger, inputs: object = None) -> Ledger:
    again = Ledger(*(inputs or ledger.inputs), hedged=False)  # type: ignore[misc]
    again.audit()
    return again
