"""Content that a translated call has only the address of: fetched before the attempt that lacks it is made.

It is kept with the call, so that the next candidate finds it there. A failure is kept as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from proxy.dialects.translation.absent import ContentAbsent, WantedContent, fill
from proxy.dialects.translation.conversation import ContentSource, Conversation
from proxy.dispatch import outcome
from proxy.errors import ClientFault, ClientGone
from proxy.fetch.unavailable import ContentUnavailable

if TYPE_CHECKING:
    from proxy.dispatch.attempt import AttemptRun

_OFF: Final = "Send the content: the gateway fetches none, as translate.fetch.enabled is false."


class ContentFlow:
    """The flow of a request while content is fetched for an attempt. The end of the request ends the fetch."""

    __slots__ = ("_reason", "_task")

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task
        self._reason: BaseException | None = None

    def __repr__(self) -> str:
        return f"<ContentFlow {'ended' if self._task.done() else 'fetching'}>"

    async def finished(self) -> None:
        """Wait for the fetch. Raises its error, or the reason why it was ended."""
        try:
            await self._task
        except asyncio.CancelledError:
            if self._reason is None:
                raise
        if self._reason is not None:
            raise self._reason

    def pause(self) -> None:
        """Nothing is read for the client yet."""

    def resume(self) -> None:
        """Nothing is read for the client yet."""

    def client_gone(self) -> None:
        self.interrupt(ClientGone())

    def interrupt(self, reason: BaseException | None) -> None:
        self._reason = reason
        self._task.cancel()


async def fetch_contents(run: AttemptRun, absent: ContentAbsent) -> None:
    """Fetch what the translation for an attempt lacks, and put it into the call.

    Raises Untranslatable if something cannot be fetched. If the attempt is ended from outside, raises the reason, as
    ``run_attempt`` does.
    """
    request, race, attempt = run.responder.request, run.race, run.attempt
    flow = ContentFlow(run.dispatch.dispatcher.context.loop.create_task(_add(run, absent)))
    request.flow = flow if race is None else race.enter(attempt, flow)
    try:
        await flow.finished()
    except ClientFault:
        raise
    except BaseException as end:
        outcome.ended(run, end, 0.0)
        attempt.ended = run.dispatch.dispatcher.now()
        raise
    finally:
        if race is None or race.leave(attempt):
            request.flow = None


async def _add(run: AttemptRun, absent: ContentAbsent) -> None:
    """Fetch what no attempt has fetched yet, and fill the call's conversation. Raises Untranslatable, Overloaded."""
    dispatch, call = run.dispatch, run.responder.call
    assert call is not None
    if not run.responder.exchange.catalog.config.translate.fetch.enabled:
        raise absent.absent[0].refusal(_OFF)
    if dispatch.fetching is None:
        dispatch.fetching = asyncio.Lock()
    async with dispatch.fetching:
        if call.contents is None:
            call.contents = {}
        contents = call.contents
        _check(absent, contents)
        missing = {each.wanted for each in absent.absent if each.wanted not in contents}
        detail = await _fetch(run, missing, contents) if missing else ""
    _check(absent, contents, detail)
    if isinstance(call.neutral, Conversation):
        fill(call.neutral, contents)


def _check(absent: ContentAbsent, contents: Mapping[WantedContent, ContentSource | str], detail: str = "") -> None:
    """Raises Untranslatable if one of the absent contents could not be fetched."""
    for each in absent.absent:
        why = contents.get(each.wanted)
        if isinstance(why, str):
            refusal = each.refusal(why)
            refusal.detail = detail
            raise refusal


async def _fetch(
    run: AttemptRun, missing: Collection[WantedContent], contents: dict[WantedContent, ContentSource | str]
) -> str:
    """Add to ``contents`` what is missing, or why that failed. Returns details of a failure for the log."""
    responder, dispatcher = run.responder, run.dispatch.dispatcher
    body, exchange = responder.body, responder.exchange
    assert body is not None

    def hold(size: int) -> None:
        body.hold(size * 4 // 3)  # as base64
        exchange.bytes_fetched += size

    settings = exchange.catalog.config.translate.fetch
    seconds = max(0.0, min(settings.timeout_secs, run.deadline - dispatcher.now()))
    try:
        contents |= await dispatcher.contents.fetch(missing, settings, seconds, hold)
    except ContentUnavailable as fault:
        failed = missing if fault.wanted is None else (fault.wanted,)
        contents |= dict.fromkeys(failed, f"The gateway cannot fetch it: the content {fault}.")
        return fault.detail
    return ""
