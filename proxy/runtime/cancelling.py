"""Cancellation that libraries cannot lose."""

from __future__ import annotations

import asyncio
from typing import Any, Final

AGAIN_SECS: Final = 1.0


def cancel_until_done(task: asyncio.Task[Any]) -> None:
    """Cancel a task now, and each second until it has ended.

    Before Python 3.12, ``asyncio.wait_for`` loses a cancellation that comes together with its result (CPython issue
    86296). aiormq uses it.
    """
    if not task.done():
        task.cancel()
        asyncio.get_running_loop().call_later(AGAIN_SECS, cancel_until_done, task)
