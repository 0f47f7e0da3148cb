from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from google.genai.client import AsyncClient

from tests.support.gemini import connected


@pytest.fixture
async def google(port: int) -> AsyncIterator[AsyncClient]:
    async with connected(f"http://127.0.0.1:{port}") as client:
        yield client
