"""What a provider serves at one address: where each endpoint's requests go, and in which dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from msgspec import Struct

from proxy.config.provider_schema import WireDialect
from proxy.dialects.table import Dialect, Task
from proxy.providers.base import EmbeddingMethod
from proxy.providers.provider import Site
from proxy.routing.endpoints import BATCH_ON_VERTEX, ENDPOINTS, MODELS, OPAQUE, PREDICT, TEXT, UNROUTED, Endpoint

# Dialects to translate to, the most complete first. That of the provider's own kind goes before them, and the Responses
# API before all for models that think beside tools only there.
_PREFERRED: Final[tuple[WireDialect, ...]] = ("chat", "messages", "responses", "gemini")
# Endpoints that calls for embeddings are translated to.
_BATCH: Final = "batchEmbedContents"
_EMBEDDING: Final = {endpoint.path: endpoint for endpoint in ENDPOINTS if endpoint.dialect.embedding_provider}
_EMBEDDING_BY: Final[Mapping[EmbeddingMethod, Sequence[Endpoint]]] = {
    "": tuple(_EMBEDDING.values()),
    "vertex": (_EMBEDDING["embeddings"], BATCH_ON_VERTEX),
    "predict": (_EMBEDDING["embeddings"], PREDICT),
}
# Endpoints that other calls are translated to.
_ENDPOINT_OF: Final[Mapping[tuple[Task, WireDialect], Endpoint]] = {
    (endpoint.dialect.task, endpoint.wire): endpoint
    for endpoint in ENDPOINTS
    if endpoint.dialect.provider is not None and not endpoint.force_stream
}


class Service(Struct, frozen=True, eq=False):
    """By the paths of clients' endpoints. What the provider cannot serve is not in ``sites``.

    ``dialects`` are those of its answers. ``translated``: the provider's own endpoint, for paths whose dialect it
    lacks. ``auto_paths``: those for which ``auto`` may choose a model that serves this.
    """

    sites: Mapping[str, Site]
    dialects: Mapping[str, Dialect]
    translated: Mapping[str, Endpoint]
    auto_paths: frozenset[str]


def service_of(
    main: Site,
    *,
    names_model: bool = True,
    served: Set[str] | None = None,
    translates: bool = True,
    responses_first: bool = False,
    lacking: Set[WireDialect] = frozenset(),
    embeds_by: EmbeddingMethod = "",
) -> Service:
    """The service of a provider at one of its addresses.

    ``names_model``: for a deployment with a model's name, as a path needs that has it. ``served``: paths that the model
    serves, ``None`` for all. ``translates``: whether requests may be translated. ``responses_first``: to the Responses
    API rather than to another dialect. ``lacking``: dialects of the provider that the model lacks. ``embeds_by``: see
    ``ProviderKind.embeds_by``.
    """
    own = main.provider.dialect
    native = dict(_native(main, names_model, lacking))
    if embeds_by == "predict" and (site := native.pop(_BATCH, None)) is not None:
        del native["embedContent"]
        native[PREDICT.path] = site
    dialects = {
        endpoint.path: endpoint.dialect if own is None or not endpoint.dialect.generates else own
        for endpoint in (*ENDPOINTS, OPAQUE, MODELS, UNROUTED)
    }
    translated = {}
    if translates:
        named = {path: _BATCH if path == PREDICT.path else path for path in native}
        usable = {path for path, name in named.items() if served is None or name in served}
        translated = dict(_translated(main, usable, embeds_by, responses_first=responses_first))
    sites = native | {path: native[endpoint.path] for path, endpoint in translated.items()}
    dialects |= {path: dialects.get(endpoint.path, endpoint.dialect) for path, endpoint in translated.items()}
    sites |= {OPAQUE.path: main}
    return Service(sites, dialects, translated, frozenset(_auto_paths(sites, translated, served)))


def _auto_paths(
    sites: Mapping[str, Site], translated: Mapping[str, Endpoint], served: Set[str] | None
) -> Iterator[str]:
    """A model without a type is for text."""
    chosen = TEXT if served is None else served
    for path in sites:
        target = translated.get(path)
        if path in chosen or (target is not None and target.path in chosen):
            yield path


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


def _translated(
    main: Site, usable: Set[str], embeds_by: EmbeddingMethod, *, responses_first: bool
) -> Iterator[tuple[str, Endpoint]]:
    """The endpoints that can only be served by translation, each with the provider's endpoint."""
    first: tuple[WireDialect, ...] = ("responses",) if responses_first else ()
    wires = (*first, main.kind.own, *_PREFERRED)
    generating = [found for wire in wires if (found := _ENDPOINT_OF.get(("answer", wire))) is not None]
    counting = [
        found for wire in wires if (found := _ENDPOINT_OF.get(("count", wire))) is not None and _counts(main, wire)
    ]
    for endpoint in ENDPOINTS:
        candidates: Sequence[Endpoint] = ()
        if endpoint.dialect.client is not None:
            candidates = generating if endpoint.dialect.task == "answer" else counting
        elif endpoint.dialect.embedding_client is not None:
            candidates = _EMBEDDING_BY[embeds_by]
        target = next((each for each in candidates if each.path in usable), None)
        if target is not None and endpoint.path not in usable:
            yield endpoint.path, target


def _counts(main: Site, wire: WireDialect) -> bool:
    """Whether the provider is known to count tokens in a dialect."""
    return wire in main.speaking and wire in main.kind.counts_at(main.speaking[wire].base_url)
