"""The settings of ``translate``: whether requests are translated, and what becomes of losses and orphans."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.translation.cases import CASES
from tests.translation.cells import CALLS, PAIRS, Case, Pair, Word
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ask, sdk_of

PROVEN: dict[str, dict[Pair, Word]] = {}  # cells of the table that this file proves

REFUSALS = (openai.BadRequestError, anthropic.BadRequestError)
ORPHANS = ("Tool result without its call", "Tool call without its result")
TOLD = [case for case in CASES if case.dropped and case.row not in ORPHANS]
UNPAIRED = [case for case in CASES if case.row in ORPHANS]


async def refusal(case: Case, **translate: str) -> Any:
    """The error that a client gets with these settings."""
    provider = StrictProvider(case.provider, server=case.server)
    options: dict[str, Any] = {"model": case.model, "at": case.server, "translate": translate}
    async with served(provider, **options) as gw, sdk_of(case.client, gw) as sdk:
        with pytest.raises(REFUSALS) as raised:
            await ask(case.client, sdk, case.whole_call, stream=False)
    assert provider.requests == []
    return raised.value


@pytest.mark.parametrize("case", TOLD, ids=[case.name for case in TOLD])
async def test_whatever_would_be_left_out_is_refused_if_nothing_may_be_lost(case: Case) -> None:
    error = await refusal(case, onLoss="refuse")
    assert any(f"'{name}'" in str(error.body) for name in case.dropped)


@pytest.mark.parametrize("case", UNPAIRED, ids=[case.name for case in UNPAIRED])
async def test_orphans_are_refused_if_they_must_not_be_repaired(case: Case) -> None:
    error = await refusal(case, orphans="refuse")
    assert "tool" in str(error.body)


@pytest.mark.parametrize("pair", PAIRS)
async def test_nothing_is_translated_if_that_is_off(pair: Pair) -> None:
    client, _, api = pair.split()
    provider = StrictProvider(api)
    async with served(provider, translate={"enabled": False}) as gw, sdk_of(client, gw) as sdk:
        with pytest.raises(REFUSALS, match="does not serve"):
            await ask(client, sdk, CALLS[client], stream=False)
    assert provider.requests == []
