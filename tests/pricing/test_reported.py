"""Recorded answers of providers that report a cost: the catalog comes to the same, to the nano-USD."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import UNSET, structs

from proxy.dialects.openai.usage import find
from proxy.pricing.catalog import shipped
from proxy.pricing.rating import rate
from tests.support.recorded import MISSING, SHARED

XAI, OPENROUTER = "https://api.x.ai/v1", "https://openrouter.ai/api/v1"
RECORDED = (
    *((XAI, path) for path in sorted(SHARED.glob("translate/vercel-ai/packages/*/src/**/xai-t*"))),
    *((OPENROUTER, path) for path in sorted(SHARED.glob("wire/openrouter/*"))),
)
AT = 1_800_000_000.0


def documents(text: str) -> Iterator[dict[str, Any]]:
    for line in (text, *text.splitlines()):
        try:
            found = json.loads(line.removeprefix("data: "))
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


@pytest.mark.skipif(not RECORDED, reason=MISSING)
def test_the_catalog_comes_to_the_cost_that_the_provider_reported() -> None:
    compared = set()
    for base_url, path in RECORDED:
        for document in documents(path.read_text()):
            usage = find(document)
            sheet = shipped().sheet(base_url, document.get("model") or "")
            if usage is None or sheet is None or usage.details is UNSET or usage.details.reported_cost is None:
                continue
            own = structs.replace(usage, details=structs.replace(usage.details, reported_cost=None))
            assert rate(sheet, own, AT).nano == usage.details.reported_cost == rate(sheet, usage, AT).nano
            compared.add((document["model"], usage.details.reported_cost))
    assert len(compared) >= 10, compared
