"""The broker's dead letters in a process of its own: the gateway never imports the client of a broker.

``python -m proxy.events.dead_letters`` reads a DeadLetterTask from its standard input, in JSON, and writes a
DeadLetterResult to its standard output. The settings contain passwords, which no command line may.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.opening import missing_broker_package, open_dead_letters
from proxy.events.broker.reading import DeadLetter, DeadLetters
from proxy.events.settings import BrokerSettings

LIMIT_SECS: Final = 10.0  # for the answer of the broker


class DeadLetterTask(Struct, frozen=True):
    """Look at the first ``most`` dead letters, or move those with ``ids`` (``None``: all) back to where they were."""

    broker: BrokerSettings
    most: int = 0
    again: bool = False
    ids: frozenset[str] | None = None


class DeadLetterResult(Struct, frozen=True):
    """``error``: why it failed, without passwords; ``""``: it did not. ``moved``: how many were moved back."""

    error: str = ""
    letters: tuple[DeadLetter, ...] = ()
    moved: int = 0


async def run(task: DeadLetterTask) -> DeadLetterResult:
    """Do what is asked. Does not raise."""
    missing = missing_broker_package(task.broker.addresses[0])
    if missing:
        return DeadLetterResult(missing)
    letters = open_dead_letters(task.broker)
    try:
        async with asyncio.timeout(LIMIT_SECS):
            return await _done(letters, task)
    except BrokerUnavailable as error:
        return DeadLetterResult(str(error))
    except TimeoutError:
        return DeadLetterResult(f"no answer within {LIMIT_SECS:g} s")
    finally:
        await letters.close()


async def _done(letters: DeadLetters, task: DeadLetterTask) -> DeadLetterResult:
    if task.again:
        return DeadLetterResult(moved=await letters.send_again(task.ids))
    return DeadLetterResult(letters=tuple(await letters.look(task.most)))


def main() -> int:
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=DeadLetterTask)
    result: Any = asyncio.run(run(task))
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
