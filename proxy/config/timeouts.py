"""Which of the six clocks holds for an attempt: the nearest place that says something wins."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from proxy.config.provider_schema import ModelSettings, ProviderSettings, Timeouts
from proxy.config.schema import Config


class Clocks(Struct, frozen=True):
    """Seconds; 0 is off. What each one watches stands at ``schema.Timeouts``."""

    connect: float = 10.0
    headers: float = 0.0  # off: first_content covers it
    first_content: float = 120.0
    idle: float = 120.0
    total: float = 0.0
    client_stall: float = 60.0


STREAM = Clocks()
PLAIN = Clocks(headers=0.0, first_content=0.0, total=600.0)


def resolve(
    config: Config, provider: ProviderSettings, model: ModelSettings | None, streaming: bool, *, media: bool = False
) -> Clocks:
    """Model over provider over top level over the defaults.

    Where none of the three says anything, ``routing.timeoutSecs`` is ``first_content`` for a stream and ``total`` for
    any other answer, but not for ``media``: images, audio, and whatever is passed through take as long as they take.
    Nor is it ``total`` where the model or the provider has a ``first_content`` or ``idle`` of its own: then that is
    known to be slow. The clocks ``headers`` and ``first_content`` watch streams only: other answers send their head
    when they are done.
    """
    own = [*([model.timeouts] if model is not None else []), provider.timeouts]
    places = [*own, config.timeouts]
    limit = config.routing.timeout_secs
    if streaming and not media:
        places.append(Timeouts(first_content=limit))
    elif not streaming and not media and not any(map(_has_own_pace, own)):
        places.append(Timeouts(total=limit))
    defaults = STREAM if streaming else PLAIN
    clocks = {name: _nearest(places, name, getattr(defaults, name)) for name in Clocks.__struct_fields__}
    if not streaming:
        clocks["headers"] = clocks["first_content"] = 0.0
    return Clocks(**clocks)


def _has_own_pace(timeouts: Timeouts) -> bool:
    return timeouts.first_content is not UNSET or timeouts.idle is not UNSET


def own_client_stall(config: Config) -> float:
    """The client's clock, in seconds, for answers that no provider feeds."""
    return _nearest([config.timeouts], "client_stall", PLAIN.client_stall)


def _nearest(places: list[Timeouts], name: str, default: float) -> float:
    for place in places:
        value: float | UnsetType = getattr(place, name)
        if value is not UNSET:
            return value
    return default
