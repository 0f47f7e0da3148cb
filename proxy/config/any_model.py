"""Providers that accept names of models which are not configured."""

from __future__ import annotations

from msgspec import UNSET

from proxy.config.schema import Config


def any_model(config: Config) -> frozenset[str]:
    """Names of the providers that accept any model name.

    By default these are providers without configured models. A provider that is only the fallback is not among them: a
    typing error of a client must not be answered, and billed, by the fallback.
    """
    listed = {model.provider for model in config.models}
    only = fallback_only(config)
    return frozenset(
        name
        for name, provider in config.providers.items()
        if (provider.any_model if provider.any_model is not UNSET else name not in listed and name != only)
    )


def fallback_only(config: Config) -> str:
    """The provider that is configured only as the fallback of others; ``""``: there is none."""
    fallback = config.routing.fallback
    name = fallback.provider if fallback is not None else ""
    if name not in config.providers or len(config.providers) == 1 or config.providers[name].any_model is True:
        return ""
    return "" if any(model.provider == name for model in config.models) else name
