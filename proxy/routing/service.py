"""What a provider serves at one address: where each endpoint's requests go, and in which dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Final

from msgspec import Struct

from proxy.config.provider_schema import WireDialect
from proxy.dialects.table import CHAT, GEMINI, MESSAGES, RESPONSES, Dialect
from proxy.providers.provider import Site
from proxy.routing.endpoints import ENDPOINTS, MODELS, OPAQUE, UNROUTED, Endpoint

# Dialects to translate to, the most complete first. That of the provider's own kind goes before them, and the Responses
# API before all for models that think beside tools only there.
_PREFERRED: Final[tuple[WireDialect, ...]] = ("chat", "messages", "responses", "gemini")
_TRANSLATED_TO: Final[Mapping[WireDialect, Dialect]] = {
    "chat": CHAT,
    "messages": MESSAGES,
    "responses": RESPONSES,
    "gemini": GEMINI,
}
_ENDPOINT_OF: Final[Mapping[WireDialect, Endpoint]] = {
    endpoint.wire: endpoint
    for endpoint in reversed(ENDPOINTS)
    if endpoint.dialect is _TRANSLATED_TO.get(endpoint.wire) and not endpoint.force_stream
}


class Service(Struct, frozen=True, eq=False):
    """By the paths of clients' endpoints. What the provider cannot serve is not in ``sites``.

    ``dialects`` are those of its answers. ``translated``: the provider's own endpoint, for paths whose dialect it
    lacks.
    """

    sites: Mapping[str, Site]
    dialects: Mapping[str, Dialect]
    translated: Mapping[str, Endpoint]


def service_of(
    main: Site,
    *,
    names_model: bool = True,
    served: Set[str] | None = None,
    translates: bool = True,
    responses_first: bool = False,
    lacking: Set[WireDialect] = frozenset(),
) -> Service:
    """The service of a provider at one of its addresses.

    ``names_model``: for a deployment with a model's name, as a path needs that has it. ``served``: paths that the model
    serves, ``None`` for all. ``translates``: whether requests may be translated. ``responses_first``: to the Responses
    API rather than to another dialect. ``lacking``: dialects of the provider that the model lacks.
    """
    own = main.provider.dialect
    native = dict(_native(main, names_model, lacking))
    dialects = {
        endpoint.path: endpoint.dialect if own is None or not endpoint.dialect.generates else own
        for endpoint in (*ENDPOINTS, OPAQUE, MODELS, UNROUTED)
    }
    translated = {}
    if translates:
        usable = {path for path in native if served is None or path in served}
        translated = dict(_translated(main, usable, responses_first=responses_first))
    sites = native | {path: native[endpoint.path] for path, endpoint in translated.items()}
    dialects |= {path: dialects[endpoint.path] for path, endpoint in translated.items()}
    return Service(sites | {OPAQUE.path: main}, dialects, translated)


def _native(main: Site, names_model: bool, lacking: Set[WireDialect]) -> Iterator[tuple[str, Site]]:
    """The sites of endpoints whose dialect the provider speaks. A body that streams through cannot be signed."""
    source = main.provider.keys.source
    signs = source is not None and source.signs
    for endpoint in ENDPOINTS:
        site = main.speaking.get(endpoint.wire)
        if (
            site is not None
            and endpoint.wire not in lacking
            and (names_model or not (endpoint.in_path or site.kind.in_path))
            and not (signs and endpoint.body != "json")
        ):
            yield endpoint.path, site


def _translated(main: Site, usable: Set[str], *, responses_first: bool) -> Iterator[tuple[str, Endpoint]]:
    """The endpoints that can only be served by translation, each with the provider's endpoint."""
    first: tuple[WireDialect, ...] = ("responses",) if responses_first else ()
    for endpoint in ENDPOINTS:
        if endpoint.path in usable or endpoint.dialect.client is None:
            continue
        for wire in (*first, main.kind.own, *_PREFERRED):
            found = _ENDPOINT_OF.get(wire)
            if found is not None and found.path in usable and found.dialect.provider is not None:
                yield endpoint.path, found
                break
