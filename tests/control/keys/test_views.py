"""API keys in responses."""

from __future__ import annotations

import msgspec

from proxy.auth.apikey import ApiKey
from proxy.control.keys.views import key_list, key_view, new_key_view

KEY = ApiKey(id="id-1", name="ci", hash="h" * 64, expires_at=1893456000.5, created_at=1_700_000_000.0)


def test_times_are_iso_8601_in_utc() -> None:
    view = key_view(KEY)
    assert (view.expires, view.created, view.previous_until) == ("2030-01-01T00:00:00Z", "2023-11-14T22:13:20Z", None)


def test_the_source_follows_from_the_id() -> None:
    assert key_view(KEY).source == "database"
    assert key_view(ApiKey(id="config:ci", name="ci", hash="h" * 64)).source == "configuration"


def test_the_hash_is_never_shown() -> None:
    assert b"h" * 64 not in msgspec.json.encode(new_key_view(KEY, "sk-secret", ""))


def test_an_empty_notice_is_left_out() -> None:
    assert b"notice" not in msgspec.json.encode(new_key_view(KEY, "sk-secret", ""))
    assert msgspec.json.decode(msgspec.json.encode(new_key_view(KEY, "sk-secret", "later")))["notice"] == "later"


def test_a_page_says_whether_there_are_more() -> None:
    first = key_list([KEY, KEY], 1)
    assert (len(first.data), first.last_id, first.has_more) == (1, "id-1", True)
    last = key_list([], 1)
    assert (last.data, last.last_id, last.has_more) == ([], None, False)
