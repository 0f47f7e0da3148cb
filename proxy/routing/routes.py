"""Routing of request lines: the endpoint and the pinned provider, or a client error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace
from multidict import istr

from proxy.caches import LruCache
from proxy.config.own_paths import (
    AZURE_BASES,
    AZURE_DEPLOYMENTS,
    FORBIDDEN,
    GEMINI_BASES,
    PINNED,
    STATEFUL,
    STATEFUL_BELOW,
    UNSUPPORTED,
    bases_of,
    resource,
)
from proxy.config.provider_schema import WireDialect
from proxy.errors import ClientFault
from proxy.providers.provider import Provider
from proxy.routing import unserved
from proxy.routing.catalog import Catalog
from proxy.routing.endpoints import (
    ANTHROPIC_MODELS,
    ANTHROPIC_UNROUTED,
    ENDPOINTS,
    GEMINI_MODELS,
    GEMINI_UNROUTED,
    MODELS,
    OPAQUE,
    UNROUTED,
    Endpoint,
)

# Also with a parameter after the dots: some servers strip it before they resolve the segment.
_DOT_SEGMENT = re.compile(r"(?:^|/)\.\.?(?:;[^/]*)?(?:/|$)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")  # RFC 3986, section 2.1; with it IIS' %u002e
DECODINGS = 4
_ANTHROPIC: Final = istr("anthropic-version")
_GOOGLE_CLIENT: Final = istr("x-goog-api-client")
_GOOGLE_KEY: Final = istr("x-goog-api-key")
# How many routes of paths that name a model are kept, and the longest such path. Without them, finding the route is an
# eighth of a request's instructions.
MOST_KEPT = 1024
LONGEST_KEPT = 256


_LISTS: Final[Mapping[WireDialect, Endpoint]] = {"messages": ANTHROPIC_MODELS, "gemini": GEMINI_MODELS}
_REFUSALS: Final[Mapping[WireDialect, Endpoint]] = {"messages": ANTHROPIC_UNROUTED, "gemini": GEMINI_UNROUTED}
_GEMINI_METHODS = {endpoint.path: endpoint for endpoint in ENDPOINTS if endpoint.in_path}


class Route(Struct, frozen=True):
    """``path`` is what follows the provider's base URL; for ``models`` the id or ``""``.

    ``model`` is the name in the path of a client made for Azure or Google, ``""`` elsewhere.
    """

    endpoint: Endpoint
    path: str
    pinned: Provider | None = None
    model: str = ""


class Routes:
    """Finds the route for a request. ``posted`` holds those of POST requests by their exact path."""

    def __init__(self, base_paths: tuple[str, ...]) -> None:
        self._bases = bases_of(base_paths)
        # The longest first: "chat/completions" ends with another endpoint's name.
        names = {endpoint.alias or endpoint.path: endpoint for endpoint in ENDPOINTS if not endpoint.in_path}
        self._by_name = dict(sorted(names.items(), key=lambda item: -len(item[0])))
        self.posted = {
            base + name: Route(endpoint, endpoint.path)
            for base in self._bases
            for name, endpoint in self._by_name.items()
        }
        self._named: LruCache[str, Route] = LruCache(MOST_KEPT)  # of POST requests; they depend on no catalog

    def find(self, method: str, path: str, catalog: Catalog, client: WireDialect = "chat") -> Route:
        """The route for a request; ``client``: the API that the client speaks where the path does not say it.

        Raises ClientFault: 400, 403, 404, or 405 with ``allow``.
        """
        if method != "POST":
            return self._find(method, path, catalog, client)
        route = self.posted.get(path) or self._named.get(path)
        if route is None:
            route = self._find(method, path, catalog, client)
            if route.model and route.pinned is None and len(path) <= LONGEST_KEPT:
                self._named.put(path, route)
        return route

    def _find(self, method: str, path: str, catalog: Catalog, client: WireDialect) -> Route:
        route = self.posted.get(path)
        check_path(path)
        if path.startswith(PINNED):
            return self._pinned(method, path[len(PINNED) :], catalog)
        if path.startswith(AZURE_DEPLOYMENTS):
            return self._azure(method, path[len(AZURE_DEPLOYMENTS) :])
        if path.startswith(GEMINI_BASES):
            return self._gemini(method, path.split("/", 2)[2])
        if path.endswith("/"):  # some clients and proxies append it; all checks still apply
            path = path[:-1]
            route = self.posted.get(path)
            if route is not None and method == "POST":
                return route
        for base in self._bases:
            if path.startswith(base):
                if route is None:
                    self._check_appended(base, path[len(base) :])
                return self._below(method, path[len(base) :], route, catalog, _LISTS.get(client, MODELS))
            if f"{path}/" == base:
                raise ClientFault(
                    f"This is the base path of the API. Append an endpoint, for example {base}chat/completions.",
                    status=404,
                    code="unknown_path",
                )
        raise unserved.beside_google(path) or ClientFault(
            f"Unknown path. The API is under {self._bases[0]}.",
            status=404,
            code="unknown_path",
        )

    def endpoint_of(self, method: str, path: str, catalog: Catalog, client: WireDialect = "chat") -> Endpoint:
        """The endpoint that a refused request was for; one of kind ``unrouted`` if the path has none."""
        try:
            return self.find(method, path, catalog, client).endpoint
        except ClientFault:
            if path.startswith((*GEMINI_BASES, unserved.UPLOADS, unserved.LIVE)):
                client = "gemini"
            elif path.startswith(tuple(f"{base}messages" for base in self._bases)):
                client = "messages"
            return _REFUSALS.get(client, UNROUTED)

    def _gemini(self, method: str, path: str) -> Route:
        """The route for Google's API; ``path`` is what follows its base path."""
        path = path.removesuffix("/")
        if (found := resource(path)) is not None and found[3] in _GEMINI_METHODS:
            if method != "POST":
                raise _not_allowed("POST")
            endpoint = _GEMINI_METHODS[found[3]]
            collection = "" if found[1] == "models" else f"{found[1]}/"
            return Route(endpoint, endpoint.path, model=collection + unquote(found[2]))
        if path == "models" or (path.startswith("models/") and found is None):
            if method not in ("GET", "HEAD"):
                raise _not_allowed("GET, HEAD")
            return Route(GEMINI_MODELS, unquote(path[len("models/") :]))
        raise unserved.of_google(path) or ClientFault(
            f"The gateway has no such path of Google's API. It serves models, and {', '.join(_GEMINI_METHODS)} of a"
            " model.",
            status=404,
            code="unknown_path",
        )

    def _below(self, method: str, path: str, known: Route | None, catalog: Catalog, models: Endpoint) -> Route:
        """The route below one of our base paths; ``models``: the client's kind of list."""
        if method == "POST" and path.startswith(("models/", "tunedModels/")) and resource(path) is not None:
            return self._gemini(method, path)
        if path == "models" or path.startswith("models/"):
            if method in ("GET", "HEAD"):
                return Route(models, unquote(path[len("models/") :]))
            if path == "models":
                raise _not_allowed("GET, HEAD")
        first = path.partition("/")[0]
        if first in FORBIDDEN:
            raise ClientFault(
                "The gateway does not relay requests for the administration of a provider's account.",
                status=403,
                code="forbidden_path",
            )
        if known is None and not (first in STATEFUL or path.startswith(STATEFUL_BELOW)):
            raise unserved.of_anthropic(path) or self._unknown(path)
        provider = catalog.providers.get(catalog.config.default_provider)
        if provider is not None:
            return Route(OPAQUE, path, provider)
        if known is not None:
            raise _not_allowed("POST")
        if path in UNSUPPORTED or first in UNSUPPORTED:
            raise ClientFault(
                "The gateway does not support this endpoint. To relay it to one provider, set defaultProvider in the"
                " configuration.",
                status=404,
                code="not_supported",
            )
        raise ClientFault(
            "This path refers to objects that one provider keeps. To relay it, set defaultProvider in the"
            " configuration.",
            status=404,
            code="stateful_path",
        )

    def _check_appended(self, base: str, path: str) -> None:
        """Refuse an endpoint appended to another one, as with a wrong base URL. Raises ClientFault (404)."""
        for name in self._by_name:
            if not path.startswith(f"{name}/"):
                continue
            rest = path[len(name) :]
            for prefix in (*self._bases, "/"):
                if rest.removeprefix(prefix) in (*self._by_name, "models"):
                    raise ClientFault(
                        f"The path continues after the endpoint {name}. Set the base URL of your client to end with"
                        f" {base[:-1]}, without an endpoint.",
                        status=404,
                        code="unknown_path",
                    )

    def _unknown(self, path: str) -> ClientFault:
        """The 404 for an unknown path below a base path; ``path`` is what follows the base path."""
        for base in self._bases:
            if base.rstrip("/") not in ("", *AZURE_BASES) and f"/{path}/".startswith(base):
                return ClientFault(
                    f"The path contains {base[:-1]} twice. Your client appends it to its base URL, which already ends"
                    " with it.",
                    status=404,
                    code="unknown_path",
                )
        return ClientFault("The API has no such path.", status=404, code="unknown_path")

    def _azure(self, method: str, path: str) -> Route:
        """``{model}/{endpoint}``; a model's name may hold slashes."""
        path = path.removesuffix("/")
        for name, endpoint in self._by_name.items():
            model = unquote(path.removesuffix(f"/{name}"))
            if model and path.endswith(f"/{name}"):
                if method != "POST":
                    raise _not_allowed("POST")
                return Route(endpoint, endpoint.path, model=model)
        raise self._unknown(path)

    def _pinned(self, method: str, path: str, catalog: Catalog) -> Route:
        name, _, rest = path.partition("/")
        provider = catalog.providers.get(name)
        if provider is None:
            raise ClientFault("Unknown provider.", status=404, code="unknown_provider")
        endpoint = self._by_name.get(rest.removesuffix("/"))
        listed = provider.allows(method, rest)
        if endpoint is not None and method == "POST" and (_speaks(provider, endpoint) or not listed):
            return Route(endpoint, endpoint.path, provider)
        if method == "POST" and (found := resource(rest)) is not None and found[3] in _GEMINI_METHODS:
            return replace(self._gemini(method, rest), pinned=provider)
        if listed:
            return Route(OPAQUE, rest, provider)
        if endpoint is not None:
            raise _not_allowed("POST")
        raise ClientFault(
            "The provider's passthrough setting does not list this method and path.",
            status=404,
            code="unknown_path",
        )


def _speaks(provider: Provider, endpoint: Endpoint) -> bool:
    return any(endpoint.wire in site.speaking for site in provider.sites)


def client_of(headers: Mapping[str, str]) -> WireDialect:
    """The API that a client speaks by its headers, for paths that several APIs have."""
    if _ANTHROPIC in headers:
        return "messages"
    return "gemini" if _GOOGLE_CLIENT in headers or _GOOGLE_KEY in headers else "chat"


def check_path(path: str) -> None:
    """Refuse paths that two servers could resolve differently. Raises ClientFault (400)."""
    if not path.startswith("/"):
        raise _bad_path("it must begin with a slash")
    if not path.isascii() or "#" in path:
        raise _bad_path("it has a character that must be percent-encoded")
    if _BAD_ESCAPE.search(path):
        raise _bad_path("it has a '%' that is not followed by two hexadecimal digits")
    decoded = path
    for _ in range(DECODINGS):  # each server on the way may decode it once
        if (once := unquote(decoded, errors="replace")) == decoded:
            break
        decoded = once
        _check_decoded(decoded)
    else:
        raise _bad_path("it is percent-encoded too many times")
    _check_decoded(decoded)


def _check_decoded(path: str) -> None:
    if "\ufffd" in path:  # includes overlong forms of "." and "/" (RFC 3629, section 10)
        raise _bad_path("its percent-encoded bytes are not UTF-8")
    if "//" in path:
        raise _bad_path("it has two consecutive slashes; check for a slash at the end of the base URL")
    plain = path if path.isascii() else normalize("NFKC", path)  # some servers treat a fullwidth dot as a dot
    if plain.count("/") != path.count("/"):
        raise _bad_path("it has a character that some servers treat as a slash")
    if _DOT_SEGMENT.search(plain):
        raise _bad_path('it has a segment "." or ".."')
    if "\\" in plain or any(ord(character) < 0x20 or character == "\x7f" for character in plain):
        raise _bad_path("it has a backslash or a control character")


def _bad_path(why: str) -> ClientFault:
    return ClientFault(f"Invalid request path: {why}.", code="bad_path")


def _not_allowed(method: str) -> ClientFault:
    return ClientFault(f"This path accepts only {method}.", status=405, code="method_not_allowed", allow=method)
