"""The broker's dead letters, which a child process looks at and moves."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, Final

import msgspec

from proxy.control.live import LiveConfig
from proxy.errors import GatewayError
from proxy.events.dead_letters import DeadLetterResult, DeadLetterTask
from proxy.events.settings import BrokerSettings, broker_settings
from proxy.runtime.python import python_command, python_environment

LIMIT_SECS: Final = 20.0  # for the process: it starts, and waits for the broker for 10 s
LOOK_SECS: Final = 0.03  # between two looks whether it has ended


class LettersUnavailable(GatewayError):
    """The broker does not answer."""

    status = 503
    code = "broker_unavailable"


class BrokerLetters:
    """One process at a time. ``Popen`` takes vfork(2), where a subprocess of the loop copies our page tables."""

    def __init__(self, live: LiveConfig, command: Sequence[str] = ()) -> None:
        self._live = live
        self._command = command or python_command("-m", "proxy.events.dead_letters")
        self._turn = asyncio.Lock()

    async def look(self, most: int) -> DeadLetterResult:
        """The first of them. Raises LettersUnavailable, and GatewayError (501) without a broker."""
        return await self._run(DeadLetterTask(self._settings(), most))

    async def send_again(self, ids: frozenset[str] | None) -> DeadLetterResult:
        """Those with these ids, or all (``None``), go back to where they came from. Raises as ``look`` does."""
        return await self._run(DeadLetterTask(self._settings(), again=True, ids=ids))

    def _settings(self) -> BrokerSettings:
        config = self._live.config
        if not config.events.url:
            raise GatewayError("There is no message broker: set events.url.", status=501, code="no_broker")
        return broker_settings(config.events, ledger=config.ledger.mode == "events")

    async def _run(self, task: DeadLetterTask) -> DeadLetterResult:
        async with self._turn:
            answer = await self._answer(msgspec.json.encode(task))
        try:
            result = msgspec.json.decode(answer, type=DeadLetterResult)
        except msgspec.DecodeError:
            raise _unavailable("The process that reads them failed.") from None
        if result.error:
            raise _unavailable(f"{result.error[:1].upper()}{result.error[1:]}.".replace("..", "."))
        return result

    async def _answer(self, task: bytes) -> bytes:
        """What the process writes; ``b""`` if it does not end in time. Raises LettersUnavailable."""
        with tempfile.TemporaryFile() as output:  # a file takes all of it, where a pipe would have to be read meanwhile
            try:
                process = self._started(task, output)
            except OSError as error:
                raise _unavailable(f"No process can be started: {error.strerror or error}.") from None
            try:
                async with asyncio.timeout(LIMIT_SECS):
                    while process.poll() is None:  # noqa: ASYNC110 - it takes half a second at least
                        await asyncio.sleep(LOOK_SECS)
            except TimeoutError:
                return b""
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()  # a killed process ends at once
            output.seek(0)
            return output.read()

    def _started(self, task: bytes, output: IO[bytes]) -> Popen[bytes]:
        process = Popen(self._command, stdin=PIPE, stdout=output, stderr=DEVNULL, env=python_environment(os.environ))
        assert process.stdin is not None
        try:
            with process.stdin as pipe:
                pipe.write(task)
        except BrokenPipeError:
            pass  # it ended at once: its answer is missing, which says so
        return process


def _unavailable(why: str) -> LettersUnavailable:
    return LettersUnavailable(f"The dead letters of the broker cannot be read. {why}", retry_after=1)
