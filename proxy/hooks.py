"""Where guardrails and caches attach: one hook on the way in, one on the way out.

A hook is an object with one or both of the methods of ``Hook``. The configuration names it as
``package.module:attribute``. Hooks are loaded at start-up; without any, no code of theirs runs.

A complete example, a cache, is ``tests/examples/answer_cache.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from typing import Protocol

from msgspec import Struct

from proxy.dialects.call import Call
from proxy.errors import ConfigError
from proxy.exchange import Exchange
from proxy.server.outlet import Outlet, OutletWrapper

__all__ = ["Hook", "HookReply", "Outlet", "OutletWrapper", "load"]


class HookReply(Struct, frozen=True):
    """A hook's own answer.

    ``body`` is the whole body, or an iterator over its pieces. A piece goes to the client as soon as it is there.
    ``content_type`` is ``application/json`` for a whole body and ``text/event-stream`` for an iterator, unless given.
    A call with ``call.stream`` has to get an event stream, or an error status.
    """

    body: bytes | AsyncIterator[bytes]
    status: int = 200
    content_type: str = ""

    @property
    def media_type(self) -> bytes:
        """``content_type`` in lower case without its parameters."""
        return self.full_type.partition(";")[0].strip().lower().encode()

    @property
    def full_type(self) -> str:
        return self.content_type or ("application/json" if isinstance(self.body, bytes) else "text/event-stream")


class Hook(Protocol):
    """Both methods may raise a ``GatewayError`` to refuse the request."""

    async def on_request(self, exchange: Exchange, call: Call) -> Call | HookReply:
        """Return the call, changed or not, or an answer. Runs for each JSON call, before a model is chosen."""

    def on_response(self, exchange: Exchange, outlet: Outlet) -> Outlet:
        """Return ``outlet``, or an ``OutletWrapper`` around it.

        Runs once per exchange: after ``on_request``, or before a refusal. The answer may come from a provider, from a
        hook or from the gateway. Streams are fastest where the same ``outlet`` is returned.
        """


RequestHook = Callable[[Exchange, Call], Awaitable[Call | HookReply]]
ResponseHook = Callable[[Exchange, Outlet], Outlet]

_METHODS = ("on_request", "on_response")
_REPLACED = {
    "on_call": "is now on_request(exchange, call)",
    "on_event": "is replaced by on_response(exchange, outlet), which wraps the outlet that the events go to",
}


def load(names: list[str]) -> tuple[RequestHook | None, ResponseHook | None]:
    """All hooks of a kind as one, ``None`` where there is none. Raises ConfigError.

    The first hook sees a request first and its answer last.
    """
    mistakes: list[str] = []
    hooks: list[object] = []
    for index, name in enumerate(names):
        try:
            module, _, attribute = name.partition(":")
            hook = getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as exc:
            mistakes.append(f"hooks[{index}]: cannot load {name!r}: {exc}")
            continue
        hooks.append(hook)
        mistakes += [f"hooks[{index}]: {name!r} {mistake}" for mistake in _mistakes_of(hook)]
    if mistakes:
        raise ConfigError(mistakes)
    requests = [hook.on_request for hook in hooks if hasattr(hook, "on_request")]
    responses = [hook.on_response for hook in hooks if hasattr(hook, "on_response")]
    return (_chain_requests(requests) if requests else None), (_chain_responses(responses) if responses else None)


def _mistakes_of(hook: object) -> list[str]:
    replaced = [f"has {name}, which {instead}" for name, instead in _REPLACED.items() if hasattr(hook, name)]
    if not replaced and not any(hasattr(hook, name) for name in _METHODS):
        return ["has neither on_request nor on_response"]
    return replaced


def _chain_requests(hooks: list[RequestHook]) -> RequestHook:
    if len(hooks) == 1:
        return hooks[0]

    async def chained(exchange: Exchange, call: Call) -> Call | HookReply:
        for hook in hooks:
            result = await hook(exchange, call)
            if isinstance(result, HookReply):
                return result
            call = result
        return call

    return chained


def _chain_responses(hooks: list[ResponseHook]) -> ResponseHook:
    if len(hooks) == 1:
        return hooks[0]

    def chained(exchange: Exchange, outlet: Outlet) -> Outlet:
        for hook in hooks:
            outlet = hook(exchange, outlet)
        return outlet

    return chained
