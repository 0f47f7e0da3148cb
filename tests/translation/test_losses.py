"""The settings of ``translate``: whether requests are translated, and what becomes of losses and orphans."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from itertools import groupby
from typing import NamedTuple

import pytest

from tests.translation.cases import CASES
from tests.translation.cells import APIS, CALLS, Api, Case, Pair, Word
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ERRORS, Refusal, ask, refusal, sdk_of

PROVEN: dict[str, dict[Pair, Word]] = {}  # cells of the table that this file proves

ORPHANS = ("Tool result without its call", "Tool call without its result")


class Site(NamedTuple):
    """A provider for several cases, so that one gateway serves them all."""

    provider: Api
    server: str
    model: str

    def __str__(self) -> str:
        return "-".join(filter(None, self))


def by_site(cases: Iterable[Case]) -> list[tuple[Site, list[Case]]]:
    def site_of(case: Case) -> Site:
        return Site(case.provider, case.server, case.model)

    return [(site, list(found)) for site, found in groupby(sorted(cases, key=site_of), site_of)]


TOLD = by_site(case for case in CASES if case.dropped and case.row not in ORPHANS)
UNPAIRED = by_site(case for case in CASES if case.row in ORPHANS)


async def refusals(site: Site, cases: Iterable[Case], **translate: str) -> AsyncIterator[tuple[Case, Refusal | None]]:
    """What each client gets with these settings; ``None`` where it gets an answer."""
    provider = StrictProvider(site.provider, server=site.server)
    async with served(provider, model=site.model, at=site.server, translate=translate) as gw, AsyncExitStack() as stack:
        sdks = {client: await stack.enter_async_context(sdk_of(client, gw)) for client in APIS}
        for case in cases:
            yield case, await refused(case, sdks[case.client])
    assert provider.requests == []


async def refused(case: Case, sdk: object) -> Refusal | None:
    try:
        await ask(case.client, sdk, case.whole_call, stream=False)
    except ERRORS as error:
        return refusal(error)
    return None


@pytest.mark.parametrize(("site", "cases"), TOLD, ids=[str(site) for site, _ in TOLD])
async def test_whatever_would_be_left_out_is_refused_if_nothing_may_be_lost(site: Site, cases: list[Case]) -> None:
    unnamed = [
        (case.name, error)
        async for case, error in refusals(site, cases, onLoss="refuse")
        if error is None or error.status != 400 or not any(f"'{name}'" in error.message for name in case.dropped)
    ]
    assert unnamed == []


@pytest.mark.parametrize(("site", "cases"), UNPAIRED, ids=[str(site) for site, _ in UNPAIRED])
async def test_orphans_are_refused_if_they_must_not_be_repaired(site: Site, cases: list[Case]) -> None:
    unnamed = [
        (case.name, error)
        async for case, error in refusals(site, cases, orphans="refuse")
        if error is None or error.status != 400 or "tool" not in error.message
    ]
    assert unnamed == []


@pytest.mark.parametrize("api", APIS)
async def test_nothing_is_translated_if_that_is_off(api: Api) -> None:
    provider = StrictProvider(api)
    async with served(provider, translate={"enabled": False}) as gw:
        for client in APIS:
            if client == api:
                continue
            async with sdk_of(client, gw) as sdk:
                with pytest.raises(ERRORS, match="does not serve"):
                    await ask(client, sdk, CALLS[client], stream=False)
    assert provider.requests == []
