"""After a storm of faults every account of every request is the same: the clients', the gateway's, the providers'."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.storm.accounts import Books
from tests.storm.run import storm

LIMIT = 60.0  # seconds; only a hang meets it


@pytest.mark.parametrize(("seed", "hedge"), [(1, 0), (2, 0), (3, 20)])
async def test_clients_gateway_providers_and_metrics_agree_on_every_request(seed: int, hedge: int) -> None:
    books = await storm(200, seed, LIMIT, hedge)
    assert books.wrong == []
    assert books.endings.total() == 200


async def test_every_forged_disagreement_is_found() -> None:
    books = await storm(100, 4, LIMIT)
    assert _again(books).wrong == []
    accounts, lines, heard, page = books.material
    whole = next(account for account in accounts if account.ending == "whole")
    line = next(line for line in lines if line["request_id"] == whole.name)
    others = [each for each in lines if each is not line]
    answered = next(each for each in heard if each.name == whole.name)
    silent = [each for each in heard if each is not answered]
    forgeries = {
        "a line is missing": (accounts, others, heard, page),
        "a line stands there twice": (accounts, [*lines, line], heard, page),
        "an answer was broken": (accounts, [*others, line | {"outcome": "broken"}], heard, page),
        "an answer had another status": (accounts, [*others, line | {"status": 201}], heard, page),
        "there was another attempt": (accounts, [*others, line | {"attempts": 9}], heard, page),
        "a provider never saw it": (accounts, lines, silent, page),
        "a provider saw it twice": (accounts, lines, [*heard, answered], page),
        "a client got half of it": (
            [*(each for each in accounts if each is not whole), replace(whole, ending="told")],
            lines,
            heard,
            page,
        ),
        "a client was never asked for": ([each for each in accounts if each is not whole], lines, heard, page),
        "the metrics have one more": (accounts, lines, heard, page + '\nllm_requests_total{outcome="ok"} 1\n'),
        "something is still in flight": (accounts, lines, heard, page + "\nllm_requests_in_flight 1\n"),
    }
    unseen = [forgery for forgery, material in forgeries.items() if not _again(books, material).wrong]
    assert unseen == []


def _again(books: Books, material: object = None) -> Books:
    again = Books(*(material or books.material), hedged=False)  # type: ignore[misc]
    again.audit()
    return again
