"""What is known of a provider while the process lives: the cooldowns of its keys, and what its answers taught us.

A ``Provider`` is compiled anew at each reload; this is not (``routing/live.py`` owns it).
"""

from __future__ import annotations

from msgspec import Struct

from proxy.config.provider_schema import ProviderSettings as Settings
from proxy.providers.keys import KeyRing
from proxy.providers.kinds import kind_of


class Learnt:
    """``asks_usage``: whether streams are asked for their usage. ``auto`` is switched off when the provider refuses the
    option.
    """

    __slots__ = ("asks_usage",)

    def __init__(self, asks_usage: bool) -> None:
        self.asks_usage = asks_usage

    def __repr__(self) -> str:
        return f"<Learnt asks usage: {self.asks_usage}>"


class ProviderState(Struct, frozen=True):
    """``about`` is what was learnt about: with another address or setting, nothing is known yet."""

    keys: KeyRing
    learnt: Learnt
    about: tuple[tuple[str, ...], str]


def state_of(settings: Settings, before: ProviderState | None = None) -> ProviderState:
    """The state of a provider with these ``settings``, which has had the state ``before``."""
    kind = kind_of(settings.kind_name)
    # A configured credential header replaces the keys.
    own = any(name.lower() in ("authorization", kind.credential_header) for name in settings.headers)
    keys = KeyRing(() if own else settings.keys, None if before is None else before.keys, kind.credential_line)
    about = settings.addresses, settings.usage_in_stream
    if before is not None and before.about == about:
        return ProviderState(keys, before.learnt, about)
    return ProviderState(keys, Learnt(settings.usage_in_stream != "never"), about)
