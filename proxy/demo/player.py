"""Writing the frames of a response on time."""

from __future__ import annotations

import asyncio
import secrets

from aiohttp import web

from proxy.demo.answer import Cut, DemoAnswer, Frame, Pause


async def play(request: web.BaseRequest, answer: DemoAnswer) -> tuple[web.StreamResponse, bool]:
    """Write the response. Returns it, and whether all of it was written: not if the client left."""
    await asyncio.sleep(answer.before)
    headers = {"Content-Type": answer.content_type, "x-request-id": f"req_{secrets.token_hex(8)}"}
    if answer.sse:
        headers["Cache-Control"] = "no-cache"
    response = _whole(answer, headers | answer.headers)
    if response is not None:
        return response, True
    streamed = web.StreamResponse(status=answer.status, headers=headers | answer.headers)
    try:
        await streamed.prepare(request)
        await _write(request, streamed, answer)
    except ConnectionError:
        return streamed, False
    return streamed, True


async def _write(request: web.BaseRequest, response: web.StreamResponse, answer: DemoAnswer) -> None:
    clock = asyncio.get_running_loop().time
    due = clock()
    for frame in answer.frames:
        match frame:
            case Frame(data, kind):
                if kind == "word" and answer.rate:
                    due += 1 / answer.rate
                    await asyncio.sleep(max(0.0, due - clock()))
                await response.write(data)
            case Pause(seconds):
                await asyncio.sleep(seconds)
                due = clock()
            case Cut():
                await _cut(request)
                return


def _whole(answer: DemoAnswer, headers: dict[str, str]) -> web.Response | None:
    """The response with a length, if it has neither pace nor faults."""
    if answer.sse or answer.rate or not all(isinstance(frame, Frame) for frame in answer.frames):
        return None
    body = b"".join(frame.data for frame in answer.frames if isinstance(frame, Frame))
    return web.Response(status=answer.status, body=body, headers=headers)


async def _cut(request: web.BaseRequest) -> None:
    transport = request.transport
    if transport is None:
        return
    # abort() drops what the transport still holds, and the half before the cut is to arrive. A transport
    # reports only its water marks, so its size is polled.
    while transport.get_write_buffer_size():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    transport.abort()
