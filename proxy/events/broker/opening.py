"""The brokers that events can go to, each imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from msgspec import Struct

from proxy.events.broker.base import Publisher
from proxy.events.broker.reading import DeadLetters, LedgerSubscription
from proxy.events.settings import BrokerSettings


class _Kind(Struct, frozen=True):
    module: str
    package: str  # that it imports
    extra: str


_AMQP: Final = _Kind("amqp", "aiormq", "amqp")  # a part of aio-pika, see amqp_link
_NATS: Final = _Kind("nats", "nats", "nats")
_KINDS: Final = {"amqp": _AMQP, "amqps": _AMQP, "nats": _NATS, "tls": _NATS}


def missing_broker_package(url: str) -> str:
    """What must be installed for a broker, as a sentence; ``""``: nothing is missing."""
    kind = _kind(url)
    if find_spec(kind.package):
        return ""
    return f"events.url needs a package that is not installed: pip install 'sluice-gateway[{kind.extra}]'"


def open_publisher(settings: BrokerSettings, warn: Callable[..., None], log: Callable[..., None]) -> Publisher:
    found: Publisher = _module(settings).open_publisher(settings, warn, log)
    return found


def open_subscription(
    settings: BrokerSettings, warn: Callable[..., None], log: Callable[..., None]
) -> LedgerSubscription:
    found: LedgerSubscription = _module(settings).open_subscription(settings, warn, log)
    return found


def open_dead_letters(settings: BrokerSettings) -> DeadLetters:
    found: DeadLetters = _module(settings).open_dead_letters(settings)
    return found


def _module(settings: BrokerSettings) -> Any:
    return import_module(f"proxy.events.broker.{_kind(settings.addresses[0]).module}")


def _kind(url: str) -> _Kind:
    return _KINDS[url.partition("://")[0]]
