"""Where guardrails and caches attach: one hook per call, one per event, found at start-up, free when absent.

A hook is named in the configuration as ``package.module:attribute``; the attribute is an object with either or
both of the methods of ``Hook``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Protocol

from msgspec import Struct

from proxy.errors import ConfigError
from proxy.exchange import Exchange
from proxy.wire.call import Call


class Hook(Protocol):
    """``on_call`` may change the call, answer in the provider's place, or refuse by raising a GatewayError."""

    async def on_call(self, exchange: Exchange, call: Call) -> Call | Reply:
        """The call that goes on, or the answer that is given instead."""

    def on_event(self, exchange: Exchange, block: bytes) -> bytes:
        """The raw event that goes to the client in the place of ``block``; ``b""`` drops it. Runs per token."""


class Reply(Struct, frozen=True):
    """An answer of a hook's own: a JSON body.

    Where the call streams only an error may be told so; any other answer becomes a 500.
    """

    body: bytes
    status: int = 200


CallHook = Callable[[Exchange, Call], Awaitable[Call | Reply]]
EventHook = Callable[[Exchange, bytes], bytes]


def load(names: list[str]) -> tuple[CallHook | None, EventHook | None]:
    """The hooks of all names chained in their order, ``None`` where there is none. Raises ConfigError."""
    mistakes: list[str] = []
    found: list[object] = []
    for index, name in enumerate(names):
        try:
            module, _, attribute = name.partition(":")
            found.append(getattr(import_module(module), attribute))
        except (ImportError, AttributeError, ValueError) as exc:
            mistakes.append(f"hooks[{index}]: cannot load {name!r}: {exc}")
        else:
            if not (hasattr(found[-1], "on_call") or hasattr(found[-1], "on_event")):
                mistakes.append(f"hooks[{index}]: {name!r} has neither on_call nor on_event")
    if mistakes:
        raise ConfigError(mistakes)
    calls = [hook.on_call for hook in found if hasattr(hook, "on_call")]
    events = [hook.on_event for hook in found if hasattr(hook, "on_event")]
    return (_chain_calls(calls) if calls else None), (_chain_events(events) if events else None)


def _chain_calls(hooks: list[CallHook]) -> CallHook:
    if len(hooks) == 1:
        return hooks[0]

    async def chained(exchange: Exchange, call: Call) -> Call | Reply:
        for hook in hooks:
            result = await hook(exchange, call)
            if isinstance(result, Reply):
                return result
            call = result
        return call

    return chained


def _chain_events(hooks: list[EventHook]) -> EventHook:
    if len(hooks) == 1:
        return hooks[0]

    def chained(exchange: Exchange, block: bytes) -> bytes:
        for hook in hooks:
            if block:
                block = hook(exchange, block)
        return block

    return chained
