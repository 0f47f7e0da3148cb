from __future__ import annotations

import pytest

from proxy.dialects.table import CHAT, OTHER, RESPONSES
from proxy.routing.endpoints import ENDPOINTS, MODELS, OPAQUE, UNROUTED, dialects


@pytest.mark.parametrize("endpoint", [*ENDPOINTS, OPAQUE, MODELS, UNROUTED])
def test_a_provider_speaks_the_dialect_of_each_endpoint(endpoint: object) -> None:
    assert dialects(None)[endpoint.path] is endpoint.dialect  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("chat/completions", RESPONSES),
        ("completions", RESPONSES),
        ("responses", RESPONSES),
        ("embeddings", OTHER),
        ("images/generations", OTHER),
        ("models", OTHER),
    ],
)
def test_a_separate_dialect_is_for_text_endpoints(path: str, dialect: object) -> None:
    assert dialects(RESPONSES)[path] is dialect


def test_deployments_share_one_table_of_dialects() -> None:
    assert dialects(CHAT) is dialects(CHAT)
