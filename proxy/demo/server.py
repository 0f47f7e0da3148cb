"""The demo's server.

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

from proxy.demo.answer import DemoAnswer, json_answer
from proxy.demo.api import DemoApi
from proxy.demo.endpoints import FoundEndpoint, api_of, find_endpoint, listed_model
from proxy.demo.forms import FORM_ENDPOINTS, read_form
from proxy.demo.models import MODELS, ChosenModel, DemoModel, find
from proxy.demo.player import play
from proxy.demo.refusal import DemoRefusal
from proxy.demo.schema import BadSchema
from proxy.runtime.listening import listen
from proxy.runtime.loop import Loop

__all__ = ["MODELS", "Demo", "main"]

MAX_BODY = 64 * 1024 * 1024  # of a form
MAX_JSON = 4 * 1024 * 1024  # every value in it becomes an object, in the process of the gateway
BACKLOG = 128
STOP_SECS = 0.05  # what a running answer gets when the demo stops


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
        api = api_of(request.path, request.headers)
        try:
            return await self._route(request, api)
        except DemoRefusal as refusal:
            return api.refused(refusal)
        except BadSchema as error:
            return api.refused(DemoRefusal(400, str(error), code="invalid_json_schema"))
        except web.HTTPRequestEntityTooLarge:
            return api.refused(DemoRefusal(413, f"The demo takes at most {_most(request.path)} bytes."))

    async def _route(self, request: web.BaseRequest, api: DemoApi) -> DemoAnswer:
        path = request.path
        if path in FORM_ENDPOINTS:
            _need(request, "POST")
            form = await read_form(request)
            return self._behaving(form.model, lambda model: FORM_ENDPOINTS[path](form, model))
        if (found := find_endpoint(path, request.query_string)) is not None:
            _need(request, "POST")
            call = _decoded(await request.read(), found)
            return self._behaving(call.model, lambda model: found.endpoint.build(call, model))
        if path == "/stats":
            _need(request, "GET")
            return json_answer({"served": self.served, "left": self.left, "running": self.running - 1})
        if (name := listed_model(path)) is not None:
            _need(request, "GET")
            return json_answer(api.listed(_found(name)[0], name) if name else api.models(MODELS))
        raise DemoRefusal(404, f"Unknown request URL: {request.method} {path}.", code="unknown_url")

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
    return MAX_BODY if target.partition("?")[0] in FORM_ENDPOINTS else MAX_JSON


# requests


def _need(request: web.BaseRequest, method: str) -> None:
    if request.method != method:
        message = f"Not allowed to {request.method} on {request.path}."
        raise DemoRefusal(405, message, code="method_not_supported", allow=method)


def _decoded(body: bytes, found: FoundEndpoint) -> Any:
    """The body in the shape of the endpoint. Raises ``DemoRefusal`` with the name of an invalid member."""
    try:
        return found.decode(body)
    except msgspec.ValidationError as error:
        member = re.search(r"at `\$\.(\w+)", str(error)) or re.search(r"field `(\w+)`", str(error))
        raise DemoRefusal(400, f"{error}.", param=member[1] if member else None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DemoRefusal(400, "We could not parse the JSON body of your request.") from None


def _found(name: str) -> ChosenModel:
    choice = find(name)
    if choice is None:
        message = f"The model `{name}` does not exist. GET /v1/models lists those that do."
        raise DemoRefusal(404, message, code="model_not_found", param="model")
    return choice


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
