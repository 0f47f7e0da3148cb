"""A configured provider: its credentials, what may be sent to it, and its sites, one for each address.

Compiled once from the configuration. What differs between kinds of providers is in ``base.py`` and its siblings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, get_args
from urllib.parse import unquote_plus

from msgspec import UNSET
from yarl import URL

from proxy.config.provider_schema import CredentialName, DialectSettings, ProviderKindName, WireDialect
from proxy.config.provider_schema import ProviderSettings as Settings
from proxy.dialects.table import DIALECTS, Dialect
from proxy.errors import ConfigError
from proxy.providers.address import SiteAddress, configured_addresses
from proxy.providers.base import ProviderKind
from proxy.providers.credential import CREDENTIALS
from proxy.providers.credential_source import CredentialSource
from proxy.providers.keys import Key
from proxy.providers.kinds import kind_of
from proxy.providers.state import ProviderState
from proxy.wire.redaction import Redactor

_JSON = b"Content-Type: application/json\r\n"
WIRES: Final[tuple[WireDialect, ...]] = get_args(WireDialect)

# For a dialect that a provider speaks beside those of its kind: the kind of API, and the usual credential. What is
# compatible with Anthropic's API takes a bearer token; some (Fireworks) take nothing else.
_BESIDE: Final[Mapping[WireDialect, tuple[ProviderKindName, CredentialName]]] = {
    "chat": ("openai", "bearer"),
    "responses": ("openai", "bearer"),
    "messages": ("anthropic", "bearer"),
    "gemini": ("gemini", "x-goog-api-key"),
}
_USUAL: Final = DialectSettings()
_is_credential = re.compile("auth|key|token|secret|passw|cookie", re.IGNORECASE).search


class Provider:
    """``settings``, compiled. ``kind`` says how requests to it look.

    ``sites``: one for each present address. ``place`` replaces them when the addresses of a service change.
    ``dialect`` is that of its answers for text, ``None`` where it speaks the dialect of each endpoint.
    """

    __slots__ = (
        "_prepared",
        "_version",
        "any_model",
        "before_id",
        "configured",
        "configured_json",
        "dialect",
        "forwarded",
        "keys",
        "kind",
        "learnt",
        "name",
        "numbers",
        "passthrough",
        "redact",
        "settings",
        "sites",
        "via",
    )

    def __init__(
        self, name: str, settings: Settings, state: ProviderState, *, version: str, any_model: bool, via: bytes = b""
    ) -> None:
        """``state`` outlives it. ``via`` is our ``Via`` line; it is dropped if the configuration sets that header.

        Raises ConfigError.
        """
        self.name = name
        self.settings = settings
        self.kind = kind_of(settings.kind_name)
        self.dialect = _dialect(name, settings.dialect)
        self.any_model = any_model  # accepts any model name
        self.passthrough = tuple(_rule(entry) for entry in settings.passthrough)
        self.forwarded = frozenset(name.lower().encode() for name in settings.forward_headers)
        # Not forwarded from clients: a header must not be sent twice.
        self.configured = frozenset(name.lower().encode() for name in settings.headers)
        self.via = via if b"via" not in self.configured else b""
        # Follows the client's header lines in the head of a JSON call.
        self.before_id = self.via + b"x-request-id: "
        self.configured_json = self.configured | {b"content-type"}
        self.keys = state.keys
        self.numbers = state.numbers
        if self.keys.source is not None:
            _check_source(name, self.kind, settings, self.keys.source)
        self.learnt = state.learnt
        # Removes our credentials from what the provider sends.
        headers = (_bare(value) for name, value in settings.headers.items() if _is_credential(name))
        self.redact = Redactor((*settings.keys, *headers))
        self._version = version
        self.sites: tuple[Site, ...] = ()
        self._prepared: dict[SiteAddress, Site] = {}
        self.place(configured_addresses(settings))

    def __repr__(self) -> str:
        return f"<Provider {self.name}>"

    def allows(self, method: str, path: str) -> bool:
        """Whether ``passthrough`` lists this request; ``path`` without a leading slash."""
        return any(
            method == allowed and (not prefix or path == prefix or path.startswith(prefix.rstrip("/") + "/"))
            for allowed, prefix in self.passthrough
        )

    def place(self, addresses: Iterable[SiteAddress]) -> None:
        """Have sites at these addresses. Those that it has already, or that are prepared, stay the same objects."""
        known = self._prepared | {site.address: site for site in self.sites}
        self._prepared = {}
        self.sites = tuple(known.get(each) or self._site(each) for each in addresses)

    def prepare(self, addresses: Iterable[SiteAddress]) -> Collection[Site]:
        """Make the sites that ``place`` will need for these addresses. Returns those that are new."""
        present = {site.address for site in self.sites}
        self._prepared = {each: self._prepared.get(each) or self._site(each) for each in {*addresses} - present}
        return self._prepared.values()

    def _site(self, address: SiteAddress) -> Site:
        """The site at ``address``, with the others that speak further dialects."""
        own = self.kind
        main = Site(self, address, address.url, self._version, own, own.credential)
        main.speaking = dict(self._speaking(main))
        return main

    def _speaking(self, main: Site) -> Iterator[tuple[WireDialect, Site]]:
        for wire in WIRES:
            entry = getattr(self.settings.dialects, wire)
            if wire not in self.kind.wires and entry is UNSET:
                continue
            own = self.kind.address(main.base_url, wire) if wire in self.kind.wires else main.base_url
            if entry is UNSET:
                entry = _USUAL
            if not entry.enabled:
                continue
            beside, usual = _BESIDE[wire]
            kind = self.kind if wire in self.kind.wires else kind_of(beside)
            usual = kind.credential if kind is self.kind else usual
            credential = usual if entry.credential is UNSET else entry.credential
            url = entry.base_url or own
            same = (kind, url, credential) == (main.kind, main.base_url, main.kind.credential)
            yield wire, main if same else Site(self, main.address, url, self._version, kind, credential)


class Site:
    """One base URL of a provider, with the request heads for it.

    ``address`` is that of the provider, from which ``base_url`` may differ for a dialect. ``kind`` is that of the API
    there. ``speaking``: the site to use for each dialect; only those in
    ``Provider.sites`` have any.
    """

    __slots__ = (
        "_credential",
        "_dropped",
        "_lines",
        "_path",
        "_query",
        "address",
        "base_url",
        "kind",
        "provider",
        "speaking",
    )

    def __init__(
        self,
        provider: Provider,
        address: SiteAddress,
        base_url: str,
        version: str,
        kind: ProviderKind,
        credential: CredentialName,
    ) -> None:
        self.provider = provider
        self.address = address
        self.base_url = base_url
        self.kind = kind
        self.speaking: Mapping[WireDialect, Site] = {}
        self._credential = CREDENTIALS[credential]
        url = URL(base_url)
        self._path = url.raw_path.rstrip("/")
        self._query = url.raw_query_string
        self._dropped = kind.dropped_parameters(self._path, self._query)
        if self._query:
            self._dropped |= frozenset(map(_name, self._query.split("&")))
        self._lines = _own_lines(url.host_port_subcomponent or "", version, provider.settings)

    def __repr__(self) -> str:
        return f"<Site {self.base_url} of {self.provider.name}>"

    def target(self, path: str, model: str | None = None, query: str = "") -> str:
        """The request target of the endpoint ``path``, which has no leading slash; ``query`` is the client's.

        A parameter of the base URL replaces the client's parameter of the same name.
        """
        kind, own = self.kind, self._query
        if query:
            query = _without(query, self._dropped)
        target = kind.target(self._path, own, path, model)
        query = "&".join(filter(None, (own, kind.parameters(path), query)))
        return f"{target}?{query}" if query else target

    def url(self, path: str, query: str = "") -> str:
        """The absolute URL of the endpoint ``path``."""
        return str(URL(self.base_url).origin()) + self.target(path, query=query)

    @property
    def listing(self) -> Site:
        """Where the list of models is: the address of the dialect that belongs to the kind."""
        return self.speaking.get(self.kind.own, self)

    def head(self, method: str, path: str, key: Key, query: str = "", model: str | None = None) -> bytes:
        """The request line and our header lines. The client's, the framing and the blank line follow."""
        target = self.target(path, model, query)
        return b"%b %b HTTP/1.1\r\n%b%b" % (method.encode(), target.encode("ascii"), self._lines, self.key_line(key))

    def key_line(self, key: Key) -> bytes:
        """The header line that carries the key, with its CR LF; ``b""`` for a null key."""
        return self._credential.line(key.secret)

    def call_head(self, path: str, key: Key, query: str = "", model: str | None = None) -> bytes:
        """The same for a JSON call."""
        head = self.head("POST", path, key, query, model)
        return head if b"content-type" in self.provider.configured else head + _JSON


def _check_source(name: str, kind: ProviderKind, settings: Settings, source: CredentialSource) -> None:
    """Raises ConfigError if the credential of a provider cannot be had."""
    mistake = kind.mistake(settings)
    if not mistake and (missing := source.missing_package()):
        mistake = f": without apiKey it {missing}"
    if mistake:
        raise ConfigError([f"providers.{name}{mistake}"])


def _without(query: str, names: frozenset[str]) -> str:
    """``query`` without the parameters of these names, which are in lower case. All other bytes are unchanged."""
    parts = re.split("([&;])", f"&{query}")[1:]
    separated = zip(parts[::2], parts[1::2], strict=True)
    return "".join(mark + parameter for mark, parameter in separated if _name(parameter) not in names)[1:]


def _name(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0]).lower()


def _dialect(provider: str, name: str) -> Dialect | None:
    if name and name not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise ConfigError([f"providers.{provider}.dialect: {name!r} is not a known dialect. Use one of {known}."])
    return DIALECTS[name] if name else None


def _own_lines(authority: str, version: str, settings: Settings) -> bytes:
    lines = {
        "Host": authority,
        "User-Agent": f"sluice/{version}",
        # Compressed events would arrive in lumps and cost us an inflater per stream.
        "Accept-Encoding": "identity",
    }
    names = {name.lower(): name for name in lines}
    for name, value in settings.headers.items():
        lines[names.get(name.lower(), name)] = value
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")


def _bare(value: str) -> str:
    """The credential of a header value, without its scheme."""
    scheme, _, rest = value.partition(" ")
    return rest.strip() if scheme.lower() in ("bearer", "basic", "token") else value


def _rule(entry: str) -> tuple[str, str]:
    method, _, prefix = entry.partition(" ")
    return method.upper(), prefix.strip().lstrip("/")
