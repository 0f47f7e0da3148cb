"""Resolving the six timeouts of an attempt: the nearest configured value wins."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from proxy.config.provider_schema import ModelSettings, ProviderSettings, Timeouts
from proxy.config.schema import Config
from proxy.config.service_schema import ServiceSettings


class Clocks(Struct, frozen=True):
    """Seconds; 0 is off. ``Timeouts`` explains each."""

    connect: float = 10.0
    headers: float = 0.0  # off: first_content covers it
    first_content: float = 120.0
    idle: float = 120.0
    total: float = 0.0
    client_stall: float = 60.0


SERVICE = Clocks(headers=60.0, first_content=0.0)
STREAM = Clocks()
PLAIN = Clocks(headers=0.0, first_content=0.0, total=600.0)


def resolve(
    config: Config, provider: ProviderSettings, model: ModelSettings | None, streaming: bool, *, media: bool = False
) -> Clocks:
    """Resolve timeouts: model, then provider, then top level, then defaults.

    If none of the three sets them, ``routing.timeoutSecs`` is ``first_content`` for a stream and ``total`` for a plain
    response. It does not apply to ``media`` (images, audio, passthrough). It is not ``total`` either if the model or
    the provider sets ``first_content`` or ``idle``, which shows that it is slow.
    ``headers`` and ``first_content`` apply only to streams: plain responses send their head when they are complete.
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


def of_service(config: Config, service: ServiceSettings) -> Clocks:
    """The clocks of an attempt at a service: its own, then top level, then defaults.

    ``headers`` begins when the request is sent. ``first_content`` is off: only answers of models have such an event.
    """
    places = [service.timeouts, config.timeouts]
    clocks = {name: _nearest(places, name, getattr(SERVICE, name)) for name in Clocks.__struct_fields__}
    return Clocks(**clocks | {"first_content": 0.0})


def _has_own_pace(timeouts: Timeouts) -> bool:
    return timeouts.first_content is not UNSET or timeouts.idle is not UNSET


def own_client_stall(config: Config) -> float:
    """Seconds of ``client_stall`` for responses without a provider."""
    return _nearest([config.timeouts], "client_stall", PLAIN.client_stall)


def _nearest(places: list[Timeouts], name: str, default: float) -> float:
    for place in places:
        value: float | UnsetType = getattr(place, name)
        if value is not UNSET:
            return value
    return default
