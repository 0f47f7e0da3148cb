"""What every test shares: the process's own event loop, and the recorded traffic."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from proxy.runtime.loop import Loop
from tests.support.recorded import MISSING, SHARED
from tests.support.services import drop_databases
from tests.support.tls import Authority

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


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": Loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, so that no process runs it alone at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/test_schemathesis.py"))


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
