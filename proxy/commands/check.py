"""``sluice check``: validate the configuration and print what ``serve`` would run."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from proxy.commands.loading import load, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.config.loader import Loaded
    from proxy.config.provider_schema import ProviderSettings
    from proxy.config.schema import Config

MOST_NAMES = 3  # of models without a price


def main(arguments: argparse.Namespace) -> int:
    from proxy.budgets.overview import overview as caps
    from proxy.cache.overview import overview as cached
    from proxy.config.any_model import any_model, fallback_only
    from proxy.events.overview import overview as receivers
    from proxy.limits.overview import overview

    source = source_of(arguments)
    loaded = load(source)
    if loaded is None:
        return 1
    from proxy.config.exposure import refusal
    from proxy.config.left_out import summary
    from proxy.config.listening import address

    config = loaded.config
    refused = refusal(config, insecure=arguments.insecure)
    if arguments.json:
        return _json(config, source.environment, refused)
    refused = refused or _missing_package(config)
    print(f"configuration: {loaded.path or 'built-in defaults'}")
    print(f"address: {address(config.server, config.server.port)}")
    print(f"providers:{'' if config.providers else f' {_no_provider(config)}'}")
    accepting, only = any_model(config), fallback_only(config)
    for name, provider in config.providers.items():
        names = "  takes any model name" if name in accepting else "  only as the fallback" if name == only else ""
        print(f"  {name}  {', '.join(_addresses(config, provider))}  {_key(provider)}{names}")
    if config.providers:
        print("models:" if config.models else "models: none listed, GET /v1/models has those of the providers")
    for model in config.models:
        upstream = f"  as {model.upstream_model}" if model.upstream_model != model.name else ""
        available = "" if model.available else "  (not available)"
        print(f"  {model.name}  at {model.provider}{upstream}{available}")
    print(f"clients: {_clients(config)}")
    print("limits: " + "\n  ".join(overview(config)))
    for text in (*caps(config), *cached(config), *receivers(config)):
        print(text)
    if line := loaded.variables.line():
        print(f"environment: {line}")
    for notice in [
        *loaded.notices,
        *summary(loaded.left_out),
        *_unpriced(loaded),
        *([f"serve refuses this: {refused}"] if refused else []),
    ]:
        print(f"notice: {notice}")
    passed = True
    if arguments.live:
        from proxy.commands.live.run import run, show, works

        findings = run(config, source.environment)
        show(findings, partial(print, flush=True))
        passed = works(findings)
    return 1 if refused or not passed else 0


def _json(config: Config, environ: Mapping[str, str], refused: str) -> int:
    """Findings as ``[{"level": "ok", "name": ..., "text": ...}]``, first why ``serve`` refuses the configuration."""
    from msgspec import json

    from proxy.commands.live.finding import failed
    from proxy.commands.live.run import run, works

    findings = [failed("serve", refused)] if refused else []
    findings += run(config, environ)
    print(json.encode(findings).decode(), flush=True)
    return 0 if works(findings) else 1


def _missing_package(config: Config) -> str:
    """Why the broker of events cannot be used here. ``_json`` has it among what was tried."""
    from proxy.events.broker.opening import missing_broker_package

    return missing_broker_package(config.events.url) if config.events.url else ""


def _no_provider(config: Config) -> str:
    from proxy.config.known_providers import NONE_USABLE

    return "none, so the built-in demo provider serves" if config.demo == "auto" else f"none. {NONE_USABLE}"


def _unpriced(loaded: Loaded) -> Iterator[str]:
    from proxy.budgets.unpriced import unpriced_models
    from proxy.demo.configured import demo_config
    from proxy.pricing.catalog import PriceCatalog, shipped

    config, prices = loaded.config, loaded.prices
    if not config.providers and config.demo == "auto":
        config = demo_config(config, config.server.port)
    names = unpriced_models(config, lambda: shipped() if prices is None else PriceCatalog(prices))
    if names:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield (
            f"no price for {', '.join(names[:MOST_NAMES])}{more}: where a budget in USD or a balance applies,"
            " calls are refused (403 model_unpriced); set prices, or billing.onUnpriced: allow"
        )


def _clients(config: Config) -> str:
    auth = config.auth
    if auth.mode == "none":
        from proxy.config.exposure import requires_certificate

        held = " and has a certificate of server.tls.clientCa" if requires_certificate(config.server) else ""
        return f"anybody who can reach the address{held}"
    kinds = []
    if auth.mode in ("keys", "any"):
        kept = " and those in the database" if config.database.enabled else ""
        kinds.append(f"API keys ({len(auth.keys)} in the configuration{kept})")
    if auth.mode in ("jwt", "any"):
        kinds.append("JSON Web Tokens")
    if auth.certificates:
        names = len(auth.certificates)
        kinds.append(f"client certificates ({names} name{'s' if names > 1 else ''} in auth.certificates)")
    return " or ".join(kinds)


def _addresses(config: Config, provider: ProviderSettings) -> Iterator[str]:
    from proxy.config.address_schema import service_url

    for address in provider.addresses:
        service = service_url(address)
        if service is None:
            yield address
            continue
        settings = config.services.get(service.name)
        count = len(settings.addresses) if settings is not None else 0
        yield f"{address} ({count} configured address{'' if count == 1 else 'es'})"


def _key(provider: ProviderSettings) -> str:
    from proxy.config.provider_schema import CLOUD_KINDS

    if provider.keyless:
        return "a credential of its cloud" if provider.kind_name in CLOUD_KINDS else "no key"
    return "key ********" if len(provider.keys) == 1 else f"{len(provider.keys)} keys ********"
