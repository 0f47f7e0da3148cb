"""The described request headers against those that the gateway reads."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.config.schema import Recovery
from proxy.control.openapi.headers import parameter_components
from proxy.errors import ClientFault
from proxy.wire.attribution import budget_of, labels_of
from proxy.wire.criteria import HEADERS, of_headers


def test_the_described_criteria_headers_are_those_that_are_read() -> None:
    assert parameter_components().keys() > HEADERS.keys()
    for header, name in HEADERS.items():
        schema = parameter_components()[header]["schema"]
        example = schema.get("enum", schema.get("examples", ["0" if schema["type"] != "string" else "x"]))[0]
        assert of_headers({header: example}) is not None, name
        with pytest.raises(ClientFault, match=header):
            of_headers({header: "x" * 300})


def test_stream_recovery_has_the_values_of_the_configuration() -> None:
    assert parameter_components()["x-router-stream-recovery"]["schema"]["enum"] == list(get_args(Recovery))


PATTERN = parameter_components()["x-router-labels"]["schema"]["pattern"]


@given(st.from_regex(PATTERN, fullmatch=True))
def test_described_labels_are_accepted_unless_a_name_occurs_twice(text: str) -> None:
    names = [pair.partition("=")[0] for pair in text.split(", ")]
    headers = CIMultiDictProxy(CIMultiDict({"x-router-labels": text}))
    if len(set(names)) == len(names):
        assert [name for name, _ in labels_of(headers)] == sorted(names)


@given(st.from_regex(parameter_components()["x-router-budget-usd"]["schema"]["pattern"], fullmatch=True))
def test_described_budgets_are_accepted(text: str) -> None:
    headers = CIMultiDictProxy(CIMultiDict({"x-router-budget-usd": text, "x-router-run": "r"}))
    assert budget_of(headers) is not None
