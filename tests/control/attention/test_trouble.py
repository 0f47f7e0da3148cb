"""The order of troubles."""

from __future__ import annotations

from proxy.control.attention.trouble import Trouble, urgency


def test_the_worst_comes_first() -> None:
    in_order = [
        Trouble("critical", "component", "Providers", ""),
        Trouble("error", "component", "Database", ""),
        Trouble("error", "out", "up/b", "", count=5, since=9.0),
        Trouble("error", "out", "up/z", "", since=1.0),
        Trouble("error", "out", "up/a", "", since=2.0),
        Trouble("error", "out", "up/b", ""),
        Trouble("warning", "probing", "up/a", "", since=0.0),
        Trouble("notice", "left_out", "3 models", "", count=3),
    ]
    mixed = in_order[3:] + in_order[:3]
    assert sorted(mixed, key=urgency) == in_order
