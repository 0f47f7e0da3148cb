"""After a storm of faults the records of clients, gateway and providers agree on every request."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

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
    accounts, lines, requests, page = ledger.inputs
    whole = next(account for account in accounts if account.ending == "complete")
    line = next(line for line in lines if line["request_id"] == whole.name)
    others = [each for each in lines if each is not line]
    answered = next(each for each in requests if each.name == whole.name)
    silent = [each for each in requests if each is not answered]
    forgeries = {
        "a line is missing": (accounts, others, requests, page),
        "a duplicate line": (accounts, [*lines, line], requests, page),
        "another outcome": (accounts, [*others, line | {"outcome": "broken"}], requests, page),
        "another status": (accounts, [*others, line | {"status": 201}], requests, page),
        "another number of attempts": (accounts, [*others, line | {"attempts": 9}], requests, page),
        "a provider got no request": (accounts, lines, silent, page),
        "a provider got it twice": (accounts, lines, [*requests, answered], page),
        "a client got an error": (
            [*(each for each in accounts if each is not whole), replace(whole, ending="in-band error")],
            lines,
            requests,
            page,
        ),
        "a client record is missing": ([each for each in accounts if each is not whole], lines, requests, page),
        "one more request in the metrics": (accounts, lines, requests, page + '\nllm_requests_total{outcome="ok"} 1\n'),
        "a request is still in flight": (accounts, lines, requests, page + "\nllm_requests_in_flight 1\n"),
    }
    unseen = [forgery for forgery, inputs in forgeries.items() if not _again(ledger, inputs).wrong]
    assert unseen == []


def _again(ledger: Ledger, inputs: object = None) -> Ledger:
    again = Ledger(*(inputs or ledger.inputs), hedged=False)  # type: ignore[misc]
    again.audit()
    return again
