"""Checks of sections whose fields are valid one by one, and checks between sections.

A complaint names the key within the section. Complaints do not repeat secrets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

from msgspec import UNSET
from msgspec.structs import fields

from proxy.config.advice import address_mistake, key_mistake
from proxy.config.billing_schema import Billing, BudgetSettings
from proxy.config.budget_checks import AMOUNTS, CALLERS, budget_mistakes, repeated_names
from proxy.config.cache_checks import idle_cache
from proxy.config.complaint import Complaint as Complaint
from proxy.config.known_providers import KNOWN_PROVIDERS
from proxy.config.limit_schema import Limits
from proxy.config.mistakes import near, quoted
from proxy.config.patches import PATCHES, PatchName
from proxy.config.price_schema import ClassPrices, ContextPrices, ModelPrices, TierPrices, is_exact
from proxy.config.provider_schema import (
    CLOUD_KINDS,
    CloudSettings,
    DialectSettings,
    ModelSettings,
    ProviderSettings,
    Tls,
    WireDialect,
)
from proxy.config.schema import Admin, Auth, Config, Fallback, Jwt, ListenTls, RateLimiting, ServerSettings
from proxy.config.service_sections import SERVICE_CHECKS, between_routes, registration_without_port, unknown_services

SHORTEST_SECRET = 32  # bytes: as many as the hash of HS256 has (RFC 7518, section 3.2)
SHORTEST_TOKEN = 16  # characters of the admin token

_CLASS_KEYS = {each.name: each.encode_name for each in fields(ClassPrices)}
_TOO_EXACT = "has more than nine decimals"

_LEVELS = {
    "global": "global_",
    "perClient": "per_client",
    "perAddress": "per_address",
    "perModel": "per_model",
    "perProvider": "per_provider",
}


def complaints(value: Any, path: str = "") -> Iterable[Complaint]:
    """Complaints about one section, at ``path``."""
    if isinstance(value, ProviderSettings):
        return _provider(value, path.removeprefix("providers."))
    check = _CHECKS.get(type(value))
    return check(value) if check is not None else ()


def between(config: Config) -> Iterator[Complaint]:
    """Complaints about the relation of sections; keys are whole paths."""
    if config.auth.mode == "keys" and not config.auth.keys and not config.database.enabled:
        text = "is missing: without the database (database.enabled) there can be no other key"
        yield Complaint("auth.keys", text, ("auth.keys", "database"))
    yield from _balances(config)
    yield from _event_receivers(config)
    for name in repeated_names(config.budgets):
        yield Complaint("budgets", f"more than one has the name {quoted(name)}")
    yield from between_routes(config)
    yield from registration_without_port(config)
    tls = config.server.tls
    if config.auth.certificates and config.auth.mode != "none" and not (tls is not None and tls.client_ca):
        text = "is missing: auth.certificates needs the CA of these certificates"
        yield Complaint("server.tls.clientCa", text, ("server.tls",))


def _balances(config: Config) -> Iterator[Complaint]:
    if not config.billing.enabled:
        return
    key, reads = "billing.enabled", ("billing", "auth", "database", "ledger")
    if config.auth.mode == "none":
        yield Complaint(key, "needs authentication, as an account belongs to who calls: set auth.mode", reads)
    if not (config.database.enabled and config.ledger.enabled):
        yield Complaint(key, "needs database.enabled and ledger.enabled, which have the balances", reads)
    elif config.ledger.mode == "events":
        yield Complaint(key, "needs ledger.mode database: a balance is not known where the ledger is elsewhere", reads)


def _event_receivers(config: Config) -> Iterator[Complaint]:
    events, ledger, reads = config.events, config.ledger, ("events", "ledger", "database")
    if ledger.enabled and ledger.mode == "events":
        if not events.url:
            yield Complaint("ledger.mode", "events needs events.url, the broker that gets the ledger", reads)
        if events.webhooks:
            text = (
                "need ledger.mode database, where events wait for them; or set them where `sluice ledger consume` runs"
            )
            yield Complaint("events.webhooks", text, reads)
    elif not (ledger.enabled and config.database.enabled):
        text = "ledger.enabled, and database.enabled, where events wait to be sent"
        if events.url:
            yield Complaint("events.url", f"needs {text}, or ledger.mode: events", reads)
        if events.webhooks:
            yield Complaint("events.webhooks", f"need {text}", reads)


def idle(config: Config) -> Iterator[Complaint]:
    """Valid settings without effect; keys are whole paths."""
    auth = config.auth
    if auth.certificates and auth.mode == "none":
        yield Complaint("auth.certificates", "has no effect: auth.mode is none")
    if auth.keys and auth.mode not in ("keys", "any"):
        yield Complaint("auth.keys", f"has no effect: auth.mode is {auth.mode}")
    if auth.jwt is not None and auth.mode not in ("jwt", "any"):
        yield Complaint("auth.jwt", f"has no effect: auth.mode is {auth.mode}")
    for number, budget in enumerate(config.budgets):
        if budget.per in CALLERS and auth.mode == "none":
            yield Complaint(
                f"budgets[{number}]", f"has no effect: auth.mode is none, so no caller says its {budget.per}"
            )
    yield from idle_cache(config)
    yield from _unknown_services(config)
    yield from unknown_services(config)
    if config.budgets and not config.has_ledger:
        why = "the ledger is elsewhere (ledger.mode)" if config.records_usage else "no ledger is kept (ledger.enabled)"
        yield Complaint("budgets", f"count from the start of the gateway, as {why}")


def _unknown_services(config: Config) -> Iterator[Complaint]:
    """Services of providers that may still come at run time, or are misspelled."""
    for name, provider in config.providers.items():
        for service in provider.services:
            if service not in config.services:
                hint = near(service, config.services)
                text = f"no service {quoted(service)} is configured{hint or '; it has no address until one is added'}"
                yield Complaint(f"providers.{name}", text)


def _provider(provider: ProviderSettings, name: str) -> Iterator[Complaint]:
    if not provider.addresses:
        key, text = "baseUrl", f"is missing (known without it: {', '.join(KNOWN_PROVIDERS)})"
        if hint := near(name, KNOWN_PROVIDERS):
            key, text = "", f"unknown provider {quoted(name)}{hint} Any other provider needs a baseUrl"
        yield Complaint(key, text, ("baseUrl", "baseUrls"))
    for key, addresses in (("baseUrl", [provider.base_url]), ("baseUrls", [each.url for each in provider.base_urls])):
        yield from (Complaint(key, text) for address in addresses if (text := address_mistake(address)))
    for wire in get_args(WireDialect):
        entry = getattr(provider.dialects, wire)
        if entry is UNSET:
            continue
        if entry.base_url:
            yield from (Complaint(f"dialects.{wire}.baseUrl", text) for text in _dialect_mistakes(provider, entry))
        if entry.patches is not UNSET:
            yield from (Complaint(f"dialects.{wire}.patches", text) for text in _patch_mistakes(entry.patches, wire))
    yield from _cloud(provider)
    one = [] if provider.api_key is UNSET else [provider.api_key]
    more = [] if provider.api_keys is UNSET else provider.api_keys
    for key, keys in (("apiKey", one), ("apiKeys", more)):
        yield from (Complaint(key, text) for each in keys if (text := key_mistake(each)))


def _cloud(provider: ProviderSettings) -> Iterator[Complaint]:
    cloud = provider.cloud
    if cloud == CloudSettings():
        return
    if provider.kind_name not in CLOUD_KINDS:
        yield Complaint(
            "cloud", f"has no effect: only the kinds {' and '.join(CLOUD_KINDS)} use it", ("kind", "baseUrl")
        )
    elif not provider.keyless:
        yield Complaint("cloud", "cannot be used together with apiKey: remove one of them", ("apiKey", "apiKeys"))
    if bool(cloud.access_key_id) != bool(cloud.secret_access_key):
        missing = "secretAccessKey" if cloud.access_key_id else "accessKeyId"
        yield Complaint(f"cloud.{missing}", "is missing or empty: accessKeyId and secretAccessKey belong together")
    elif cloud.access_key_id and cloud.profile:
        yield Complaint("cloud.profile", "cannot be used together with accessKeyId: remove one of them")


def _dialect_mistakes(provider: ProviderSettings, entry: DialectSettings) -> Iterator[str]:
    if text := address_mistake(entry.base_url):
        yield text
    if provider.services:
        yield f"is one address, but those of the service {provider.services[0]} change; remove it"
    elif len(provider.addresses) > 1:
        yield f"is one address, but the provider has {len(provider.addresses)}; write one provider for each address"


def _model(model: ModelSettings) -> Iterator[Complaint]:
    if model.patches is not UNSET:
        yield from (Complaint("patches", text) for text in _patch_mistakes(model.patches, *PATCHES))
    yield from _prices(model)


def _prices(model: ModelSettings) -> Iterator[Complaint]:
    rows = model.prices
    for key, price in (("inputPrice", model.input_price), ("outputPrice", model.output_price)):
        if price is UNSET:
            continue
        if rows is not UNSET:
            yield Complaint(key, "cannot be used together with prices: remove one of them")
        if not is_exact(price):
            yield Complaint(key, _TOO_EXACT)
    if rows == []:
        yield Complaint("prices", "has no price", ("prices",))
    for (start, hours), number in Counter((row.valid_from, row.hours) for row in rows or ()).items():
        if number > 1:
            same = f"the validFrom {start}" if start else "no validFrom"
            yield Complaint("prices", f"{number} rows have {same}" + (f" and the hours {hours}" if hours else ""))


def _class_prices(prices: ClassPrices) -> Iterator[Complaint]:
    if not prices.given:
        yield Complaint("", "has no price", tuple(_CLASS_KEYS.values()))
    yield from (Complaint(_CLASS_KEYS[name], _TOO_EXACT) for name, price in prices.given.items() if not is_exact(price))


def _tier_prices(prices: TierPrices) -> Iterator[Complaint]:
    yield from _class_prices(prices)
    for bound, number in Counter(tier.above for tier in prices.tiers).items():
        if number > 1:
            yield Complaint("tiers", f"{number} tiers are above {bound}")


def _patch_mistakes(names: Sequence[PatchName], *dialects: str) -> Iterator[str]:
    """``dialects`` are those that the patches are for."""
    known = [name for dialect in dialects for name in PATCHES[dialect]]
    for name in names:
        if name not in known:
            yield f"{quoted(name)} is no patch of this dialect; it has {', '.join(known) or 'none'}"
    if {"max-tokens", "max-completion-tokens"}.issubset(names):
        yield "max-tokens and max-completion-tokens are opposites; keep the one that the provider needs"


def _fallback(fallback: Fallback) -> Iterator[Complaint]:
    for key in ("provider", "model") if fallback.enabled else ():
        if not getattr(fallback, key):
            yield Complaint(key, "is missing", (key,))


def _tls(tls: Tls) -> Iterator[Complaint]:
    if tls.cert_file and not tls.key_file:
        yield Complaint("keyFile", "is missing: certFile needs it (the same file, if it holds both)", ("keyFile",))
    if tls.key_file and not tls.cert_file:
        yield Complaint("certFile", "is missing: keyFile needs it", ("certFile",))


def _rate_limiting(settings: RateLimiting) -> Iterator[Complaint]:
    for key, name in _LEVELS.items():
        limits: Limits | None = getattr(settings, name)
        if limits is not None and limits.enabled and (text := _boundless(limits)):
            yield Complaint(key, text, (key,))


def _boundless(limits: Limits) -> str:
    if limits.requests_per_minute is not UNSET or limits.requests_per_hour is not UNSET:
        return ""
    if limits.burst_size is not UNSET:
        return "burstSize needs requestsPerMinute or requestsPerHour"
    if limits.tokens_per_minute is not UNSET or limits.concurrent is not UNSET:
        return ""
    bounds = "requestsPerMinute, requestsPerHour, tokensPerMinute or concurrent"
    return f"has no limits: set {bounds}, or enabled: false"


def _auth(auth: Auth) -> Iterator[Complaint]:
    if auth.jwt is None and auth.mode in ("jwt", "any"):
        yield Complaint("jwt", f"is missing: mode {auth.mode} needs it", ("jwt",))
    if auth.mode == "certificates" and not auth.certificates:
        text = 'is missing: mode certificates needs it (name: "*" is every certificate of server.tls.clientCa)'
        yield Complaint("certificates", text, ("certificates",))
    for name, number in Counter(each.name for each in auth.certificates).items():
        if number > 1:
            yield Complaint("certificates", f"{number} entries have the name {quoted(name)}")
    # By name: broken entries are not in the list, so positions would be wrong.
    for name, number in Counter(key.name for key in auth.keys).items():
        if number > 1:
            yield Complaint("keys", f"{number} keys have the name {quoted(name)}")
    holders: dict[str, str] = {}
    for key in auth.keys:
        if (first := holders.setdefault(key.hash, key.name)) != key.name:
            yield Complaint("keys", f"{quoted(first)} and {quoted(key.name)} have the same hash")


_SOURCES = ("secret", "publicKeyFile", "jwksUrl")


def _jwt(jwt: Jwt) -> Iterator[Complaint]:
    texts = (jwt.secret, jwt.public_key_file, jwt.jwks_url)
    sources = [name for name, text in zip(_SOURCES, texts, strict=True) if text]
    if not sources:
        text = "is missing or empty, and so are publicKeyFile and jwksUrl: one of them is needed"
        yield Complaint("secret", text, _SOURCES)
    elif len(sources) > 1:
        yield Complaint(sources[1], f"only one of {' and '.join(sources)} may be set")
    else:
        yield from _algorithms(jwt)
    if jwt.secret and len(jwt.secret) < SHORTEST_SECRET:  # a key is ASCII
        yield Complaint("secret", f"must have at least {SHORTEST_SECRET} bytes")


def _algorithms(jwt: Jwt) -> Iterator[Complaint]:
    # Never both from one source: with a public key as the secret, anyone could forge tokens (algorithm confusion).
    for name in dict.fromkeys(jwt.algorithms):
        if name == "HS256" and not jwt.secret:
            yield Complaint("algorithms", "HS256 needs a secret", ("secret",))
        if name != "HS256" and jwt.secret:
            yield Complaint("algorithms", f"{name} needs publicKeyFile or jwksUrl, not a secret", _SOURCES)


def _admin(admin: Admin) -> Iterator[Complaint]:
    if 0 < len(admin.token) < SHORTEST_TOKEN:
        yield Complaint("token", f"must have at least {SHORTEST_TOKEN} characters")


def _listen_tls(tls: ListenTls) -> Iterator[Complaint]:
    if tls.client_auth == "optional" and not tls.client_ca:
        yield Complaint("clientCa", "is missing: clientAuth needs it", ("clientCa",))


def _billing(billing: Billing) -> Iterator[Complaint]:
    if billing.currency != "USD" and billing.usd_rate is UNSET:
        text = f"{billing.currency} needs usdRate: how many {billing.currency} are one USD"
        yield Complaint("currency", text, ("currency", "usdRate"))
    elif billing.currency == "USD" and billing.rate != 1:
        yield Complaint("usdRate", "needs a currency other than USD", ("currency",))
    if not is_exact(billing.default_balance):
        yield Complaint("defaultBalance", _TOO_EXACT)


def _budget(budget: BudgetSettings) -> Iterator[Complaint]:
    for key, text in budget_mistakes(budget):
        yield Complaint(key, text, AMOUNTS if key in AMOUNTS else ())


def _server(server: ServerSettings) -> Iterator[Complaint]:
    if not server.proxy_protocol:
        return
    reads = ("proxyProtocol", "trustedProxies", "unixSocket")
    unix = "unix" in server.trusted_proxies
    if not server.trusted_proxies:
        text = "is missing: proxyProtocol needs the addresses of the proxies that send its header"
        yield Complaint("trustedProxies", text, reads)
    elif server.unix_socket and not unix:
        yield Complaint(
            "trustedProxies", "must contain unix: proxyProtocol is set, and the listener is a unix socket", reads
        )
    elif not server.unix_socket and server.trusted_proxies == ["unix"]:
        text = "must contain an address or network: proxyProtocol is set, and the listener is no unix socket"
        yield Complaint("trustedProxies", text, reads)


_CHECKS: dict[type, Callable[[Any], Iterable[Complaint]]] = {
    ModelSettings: _model,
    ContextPrices: _class_prices,
    TierPrices: _tier_prices,
    ModelPrices: _tier_prices,
    Tls: _tls,
    Fallback: _fallback,
    RateLimiting: _rate_limiting,
    Auth: _auth,
    Jwt: _jwt,
    Admin: _admin,
    Billing: _billing,
    BudgetSettings: _budget,
    ListenTls: _listen_tls,
    ServerSettings: _server,
    **SERVICE_CHECKS,
}
