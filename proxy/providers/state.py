"""The live state of a provider: cooldowns of its keys, and options that it refused.

A ``Provider`` is compiled again at each reload; this state survives (``routing/live.py`` owns it).
"""

from __future__ import annotations

from msgspec import Struct

from proxy.config.provider_schema import ProviderSettings as Settings
from proxy.providers.address import AddressNumbers
from proxy.providers.credential import CREDENTIALS
from proxy.providers.keys import KeyRing
from proxy.providers.kinds import kind_of


class Learnt:
    """``asks_usage``: whether usage is requested for streams. With ``auto``, a refusal switches it off."""

    __slots__ = ("asks_usage",)

    def __init__(self, asks_usage: bool) -> None:
        self.asks_usage = asks_usage

    def __repr__(self) -> str:
        return f"<Learnt asks usage: {self.asks_usage}>"


class ProviderState(Struct, frozen=True):
    """``about``: the addresses and the setting that ``learnt`` belongs to. With others, it starts anew.

    ``numbers``: of the addresses that it takes from services.
    """

    keys: KeyRing
    learnt: Learnt
    about: tuple[tuple[str, ...], str]
    numbers: AddressNumbers


def state_of(settings: Settings, before: ProviderState | None = None) -> ProviderState:
    """The state of a provider with these ``settings``; ``before`` is its state before a reload."""
    kind = kind_of(settings.kind_name)
    # A configured credential header replaces the keys.
    header = CREDENTIALS[kind.credential].header.lower()
    own = any(name.lower() in ("authorization", header) for name in settings.headers)
    source = None if own or not settings.keyless else kind.source(settings)
    keys = KeyRing(() if own else settings.keys, None if before is None else before.keys, source)
    about = settings.addresses, settings.usage_in_stream
    if before is not None and before.about == about:
        return ProviderState(keys, before.learnt, about, before.numbers)
    return ProviderState(keys, Learnt(settings.usage_in_stream != "never"), about, AddressNumbers())
