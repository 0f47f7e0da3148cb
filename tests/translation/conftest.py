from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.translation.rig import Gateways


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways() -> AsyncIterator[Gateways]:
    async with Gateways() as found:
        yield found
