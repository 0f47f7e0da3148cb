"""What every test shares: the process's own event loop, and the recorded traffic."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from proxy.database.engine import Engine
from proxy.runtime.loop import Loop
from tests.support.recorded import MISSING, SHARED
from tests.support.services import drop_databases
from tests.support.tls import Authority

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

# The same examples in every run and on every worker, and no deadline: a busy machine is no reason to fail.
# `--hypothesis-profile=search` looks for new examples.
settings.register_profile(
    "untimed",
    deadline=None,
    max_examples=60,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("search", settings.get_profile("untimed"), derandomize=False, max_examples=500)
settings.load_profile("untimed")

# A transaction may take this many seconds where a test says nothing else: a busy machine is no broken database.
assert Engine.__init__.__kwdefaults__ is not None
Engine.__init__.__kwdefaults__["time_limit"] = 10.0

# The longest files, the longest one first. Each file runs in one process.
LONGEST = (
    "tests/test_dashboard.py",
    "tests/dialects/translation/test_no_silent_loss.py",
    "tests/dialects/translation/test_fixtures_across.py",
    "tests/test_schemathesis.py",
    "tests/translation/test_cells.py",
    "tests/events/broker/test_amqp_faults.py",
    "tests/events/test_kills.py",
    "tests/test_cors.py",
    "tests/test_many_clients.py",
)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": Loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process runs one alone at the end."""
    places = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_collection_finish() -> None:
    """Leave the modules and tests, 600,000 objects, out of every garbage collection: they took a third of the CPU."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    drop_databases()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the recorded traffic; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip(MISSING)
    return SHARED


@pytest.fixture(scope="session")
def authority() -> Authority:
    """A certificate authority of this run's own."""
    return Authority()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a file."""
    from tests.support.browser import chromium

    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page(browser: Browser, gw: Any) -> AsyncIterator[Page]:
    """The dashboard of the file's gateway ``gw``, signed in: one page for all its tests."""
    from tests.support.dashboard import signed_in

    async with signed_in(browser, gw.url) as page:
        yield page
