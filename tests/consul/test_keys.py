"""Names of keys, entries and transactions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.consul.client import ConsulReply, ConsulUnavailable
from proxy.consul.keys import entries_of, key_name, operation, transact
from tests.consul.clients import client_of
from tests.support.consul import FakeConsul
from tests.support.consul.api import refusal


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_text_is_a_key_of_its_own(one: str, other: str) -> None:
    try:
        names = key_name(one), key_name(other)
    except UnicodeEncodeError:  # lone surrogates, which no JSON text has
        return
    assert (names[0] == names[1]) == (one == other)
    assert not refusal(f"sluice/{names[0]}")


async def test_a_transaction_that_fails_a_check_changes_nothing() -> None:
    async with FakeConsul() as agent, client_of(agent) as client:
        assert await transact(client, [operation("set", "a", b"1"), operation("cas", "b", b"2")])
        assert not await transact(client, [operation("set", "a", b"3"), operation("cas", "b", b"4")])
        found = entries_of(await client.get("kv/", {"recurse": ""}))
        assert [(each.key, each.content) for each in found] == [("a", b"1"), ("b", b"2")]
        assert found[0].modify_index == found[1].modify_index


def test_an_answer_that_is_no_list_of_keys_is_refused() -> None:
    assert entries_of(ConsulReply(404, b"")) == []
    for body in (b"{}", b'[{"Key": 3}]', b"[", b""):
        with pytest.raises(ConsulUnavailable, match="cannot be read"):
            entries_of(ConsulReply(200, body))
