"""Routes and changes as they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.control.services.route_views import change_view, masked
from proxy.services.store.base import RoutingChange

HIDDEN = "********"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (None, None),
        ({"path": "/a"}, {"path": "/a"}),
        ({"headers": {"x": "secret"}}, {"headers": {"x": HIDDEN}}),
        (
            {"requestHeaders": {"set": {"a": "secret"}, "add": {"b": "secret"}, "remove": ["c"]}},
            {"requestHeaders": {"set": {"a": HIDDEN}, "add": {"b": HIDDEN}, "remove": ["c"]}},
        ),
        ({"responseHeaders": "odd", "headers": ["odd"]}, {"responseHeaders": "odd", "headers": ["odd"]}),
    ],
)
def test_values_of_headers_are_not_shown(body: dict[str, Any] | None, shown: dict[str, Any] | None) -> None:
    assert masked(body) == shown


def test_a_change_has_its_time_in_iso_8601() -> None:
    change = RoutingChange(7, "route", "r", None, {"headers": {"x": "secret"}}, 1_700_000_000.25, "session")
    view = change_view(change)
    assert (view.at, view.before, view.after) == ("2023-11-14T22:13:20.250Z", None, {"headers": {"x": HIDDEN}})
