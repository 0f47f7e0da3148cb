"""Who gets events, as ``sluice check`` prints it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.events.overview import overview
from tests.support.gateway import to_config

BROKER = "amqp://user:s3cret@rabbit:5672/"
LEDGER: dict[str, Any] = {"enabled": True}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, []),
        (
            {"events": {"url": BROKER}, "ledger": LEDGER},
            ["events:", "  amqp://********@rabbit:5672/  exchange sluice.events, all types"],
        ),
        (
            {
                "events": {"url": BROKER, "exchange": "mine", "types": ["ai_usage"]},
                "ledger": LEDGER | {"mode": "events"},
            },
            [
                "events:",
                "  amqp://********@rabbit:5672/  exchange mine, only ai_usage",
                "ledger: to the broker; sluice ledger consume writes it into a database",
            ],
        ),
        (
            {
                "events": {
                    "webhooks": [
                        {"url": "http://127.0.0.1:9/t0ken"},
                        {"url": "https://b/x", "secret": "s3cret", "types": ["key_created", "key_revoked"]},
                    ]
                },
                "ledger": LEDGER,
            },
            [
                "events:",
                "  http://127.0.0.1:9  not signed, all types",
                "  https://b  signed, only key_created, key_revoked",
            ],
        ),
    ],
)
def test_receivers_are_named_without_a_secret(source: dict[str, Any], expected: list[str]) -> None:
    assert [*overview(to_config(source))] == expected
