from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.gemini import status
from proxy.dialects.provider_error import ProviderError
from tests.support.answers import compact

QUOTA = {"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED", "details": [{"reason": "X"}]}}


@pytest.mark.parametrize(
    ("http", "word"),
    [(400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"), (413, "INVALID_ARGUMENT"),
     (426, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (502, "UNAVAILABLE"), (503, "UNAVAILABLE"),
     (504, "DEADLINE_EXCEEDED"), (508, "INTERNAL"), (529, "UNAVAILABLE")],
)  # fmt: skip
def test_each_http_status_has_a_word(http: int, word: str) -> None:
    assert status.word_of(http) == word


@pytest.mark.parametrize("http", range(400, 600))
def test_a_word_is_one_of_googles_and_blames_the_same_side(http: int) -> None:
    assert (status.STATUSES[status.word_of(http)] >= 500) is (http >= 500 or http in (405, 408))


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_the_word_is_the_type(wrap: Any) -> None:
    found = ProviderError("Quota.", type="RESOURCE_EXHAUSTED", code=429, status=429)
    assert status.find(wrap(QUOTA)) == found
    assert status.refused(compact(wrap(QUOTA))) == found


def test_the_word_alone_has_a_status() -> None:
    assert status.find({"error": {"message": "m", "status": "DEADLINE_EXCEEDED"}}) == ProviderError(
        "m", type="DEADLINE_EXCEEDED", status=504
    )


@pytest.mark.parametrize(
    "document",
    [{"error": {"message": "m", "status": "Bad Request", "code": 400}}, {"error": {"code": 400, "message": "m"}}],
)
def test_other_errors_have_no_word(document: Any) -> None:
    assert status.find(document) == ProviderError("m", code=400, status=400)
    assert status.own(document) is None


def test_errors_of_other_shapes_are_read() -> None:
    assert status.refused(b'{"detail":"no"}') == ProviderError("no")
    assert status.refused(b"<html>") is None
    assert status.refused(b"{}") is None
    assert status.find({"candidates": []}) is None


def test_an_error_of_this_dialect_is_recognized() -> None:
    assert status.own(QUOTA) == status.own([QUOTA]) == QUOTA["error"]


@pytest.mark.parametrize(
    "document", [None, [], [QUOTA, QUOTA], {"error": "x"}, {"error": {"code": "429", "message": "m", "status": "UNAVAILABLE"}},
                 {"error": {"code": 429, "status": "UNAVAILABLE"}}]
)  # fmt: skip
def test_other_documents_are_not(document: Any) -> None:
    assert status.own(document) is None
