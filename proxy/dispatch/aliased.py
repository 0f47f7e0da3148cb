"""Attempts for a request that named an alias: the answer names what the client asked for."""

from __future__ import annotations

import msgspec

from proxy.dispatch.attempt import AttemptRun
from proxy.dispatch.dispatch import RunAttempt
from proxy.dispatch.failure import AttemptFailure

_encode = msgspec.json.Encoder().encode


class Aliased:
    """Wrapper that renames the model in the events of a stream. ``model`` is the alias.

    It must be the innermost: other wrappers see the events as the provider sent them.
    """

    def __init__(self, run_attempt: RunAttempt, model: str) -> None:
        self._run_attempt = run_attempt
        self._name = _encode(model)

    async def run_attempt(self, run: AttemptRun) -> AttemptFailure | None:
        if run.responder.exchange.endpoint.path in run.attempt.deployment.translated:
            return await self._run_attempt(run)  # the translation names it
        earlier, writer, name = run.event_hook, run.responder.exchange.endpoint.dialect.writer, self._name

        def rename(block: bytes, failed: bool) -> bytes:
            block = block if earlier is None else earlier(block, failed)
            return writer.with_model_in_event(block, name) if block else block

        run.event_hook = rename
        return await self._run_attempt(run)
