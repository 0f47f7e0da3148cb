"""The demo's endpoints under ``/v1``.

``GET /stats`` counts what was served and how many clients left before the end.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import uvloop
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from msgspec.structs import replace

from proxy.demo.answer import DemoAnswer, DemoRefusal, json_answer, refusal
from proxy.demo.audio import SpeechCall, speech
from proxy.demo.chat import ChatCall, CompletionCall, chat, completion
from proxy.demo.embeddings import EmbeddingCall, embeddings
from proxy.demo.forms import FORM_ENDPOINTS, read_form
from proxy.demo.images import ImageCall, images
from proxy.demo.models import MODELS, ChosenModel, DemoModel, find
from proxy.demo.moderations import ModerationCall, moderations
from proxy.demo.player import play
from proxy.demo.responses import ResponsesCall, responses
from proxy.demo.schema import BadSchema
from proxy.runtime.listening import listen
from proxy.runtime.loop import Loop

__all__ = ["MODELS", "Demo", "main"]

MAX_BODY = 64 * 1024 * 1024  # of a form
MAX_JSON = 4 * 1024 * 1024  # every value in it becomes an object, in the process of the gateway
BACKLOG = 128
STOP_SECS = 0.05  # what a running answer gets when the demo stops

JSON_ENDPOINTS: dict[str, tuple[Any, Callable[[Any, DemoModel], DemoAnswer]]] = {
    "/v1/chat/completions": (ChatCall, chat),
    "/v1/completions": (CompletionCall, completion),
    "/v1/embeddings": (EmbeddingCall, embeddings),
    "/v1/responses": (ResponsesCall, responses),
    "/v1/moderations": (ModerationCall, moderations),
    "/v1/images/generations": (ImageCall, images),
    "/v1/audio/speech": (SpeechCall, speech),
}


class Demo:
    """``served``: requests answered completely; ``left``: clients that left before.

    ``rate`` (words per second, 0: as fast as possible) replaces the rates of all models.
    """

    def __init__(self, *, rate: float | None = None) -> None:
        self._rate = rate
        self.served = 0
        self.left = 0
        self.running = 0
        self._stopping = False
        self._asked: Counter[str] = Counter()  # requests of the models that fail now and then
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the bound port. Raises ``OSError`` if the address is not available."""
        server = web.Server(
            self._handle,
            request_factory=_request,
            handler_cancellation=True,  # a client that leaves ends its handler at once
            access_log=None,
        )
        runner = self._runner = web.ServerRunner(server, shutdown_timeout=STOP_SECS)
        await runner.setup()
        try:
            for sock in await listen(host, port, BACKLOG):
                await web.SockSite(runner, sock, backlog=BACKLOG).start()
        except OSError:
            await runner.cleanup()
            raise
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the listener and end running responses."""
        self._stopping = True
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.running += 1
        try:
            response, complete = await play(request, await self._answer(request))
            self.served += complete
            self.left += not complete
            return response
        except asyncio.CancelledError:
            self.left += not self._stopping
            raise
        finally:
            self.running -= 1

    async def _answer(self, request: web.BaseRequest) -> DemoAnswer:
        try:
            return await self._route(request)
        except DemoRefusal as refused:
            return refused.answer
        except BadSchema as error:
            return refusal(400, str(error), code="invalid_json_schema")
        except web.HTTPRequestEntityTooLarge:
            return refusal(413, f"The demo takes at most {_most(request.path)} bytes.")

    async def _route(self, request: web.BaseRequest) -> DemoAnswer:
        path = request.path
        if path in JSON_ENDPOINTS:
            _need(request, "POST")
            shape, build = JSON_ENDPOINTS[path]
            call = _decoded(await request.read(), shape)
            return self._behaving(call.model, lambda model: build(call, model))
        if path in FORM_ENDPOINTS:
            _need(request, "POST")
            form = await read_form(request)
            return self._behaving(form.model, lambda model: FORM_ENDPOINTS[path](form, model))
        if path in ("/v1/models", "/stats") or path.startswith("/v1/models/"):
            _need(request, "GET")
            return json_answer(self._read(path))
        raise DemoRefusal(refusal(404, f"Unknown request URL: {request.method} {path}.", code="unknown_url"))

    def _read(self, path: str) -> Any:
        if path == "/stats":
            return {"served": self.served, "left": self.left, "running": self.running - 1}
        if path == "/v1/models":
            return {"object": "list", "data": [_listed(model, model.name) for model in MODELS]}
        name = path.removeprefix("/v1/models/")
        return _listed(_found(name)[0], name)

    def _behaving(self, name: str, build: Callable[[DemoModel], DemoAnswer]) -> DemoAnswer:
        """The model's response with the model's fault."""
        model, number = _found(name)
        answer = build(model if self._rate is None else replace(model, rate=self._rate))
        if model.fault is None or not self._fails(model):
            return answer
        return model.fault(answer, number)

    def _fails(self, model: DemoModel) -> bool:
        """Whether this request fails."""
        if model.every == 1:
            return True
        self._asked[model.name] += 1
        return self._asked[model.name] % model.every == 1


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_most(message.path))


def _most(target: str) -> int:
    return MAX_JSON if target.partition("?")[0] in JSON_ENDPOINTS else MAX_BODY


# requests


def _need(request: web.BaseRequest, method: str) -> None:
    if request.method != method:
        message = f"Not allowed to {request.method} on {request.path}."
        raise DemoRefusal(refusal(405, message, code="method_not_supported", headers={"Allow": method}))


def _decoded(body: bytes, shape: Any) -> Any:
    """The body as ``shape``. Raises ``DemoRefusal`` with the name of an invalid member."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        member = re.search(r"at `\$\.(\w+)", str(error)) or re.search(r"field `(\w+)`", str(error))
        raise DemoRefusal(refusal(400, f"{error}.", param=member[1] if member else None)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DemoRefusal(refusal(400, "We could not parse the JSON body of your request.")) from None


def _found(name: str) -> ChosenModel:
    choice = find(name)
    if choice is None:
        message = f"The model `{name}` does not exist. GET /v1/models lists those that do."
        raise DemoRefusal(refusal(404, message, code="model_not_found", param="model"))
    return choice


def _listed(model: DemoModel, name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "demo",
        "type": model.type,
        "description": model.description,
    }


# alone


def main(host: str = "127.0.0.1", port: int = 9099) -> int:
    """Run the demo until SIGINT or SIGTERM; the exit status."""
    try:
        uvloop.run(_serve(host, port), loop_factory=Loop)
    except OSError as error:
        sys.stderr.write(f"sluice demo: cannot listen on {host}:{port}: {error.strerror or error}\n")
        return 1
    return 0


async def _serve(host: str, port: int) -> None:
    demo = Demo()
    bound = await demo.start(host, port)
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"sluice demo at http://{shown}:{bound}/v1 serves {', '.join(m.name for m in MODELS)}\n")
    sys.stdout.write("".join(f"  {model.name:<18} {model.description}\n" for model in MODELS))
    sys.stdout.flush()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await demo.stop()
