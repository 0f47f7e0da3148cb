"""Models whose calls are refused, since USD are capped and nothing says what the model costs."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from proxy.config.billing_schema import BudgetSettings
from proxy.config.budget_checks import CALLERS
from proxy.config.provider_schema import ModelSettings
from proxy.config.schema import Config
from proxy.pricing.catalog import PriceCatalog
from proxy.pricing.operator import operator_sheet


def unpriced_models(config: Config, prices: Callable[[], PriceCatalog]) -> list[str]:
    """Names of configured models without a price at some address, to which a budget in USD or a balance applies.

    ``prices`` are read only if a cap needs them. Models that a provider takes by any name are not known here.
    """
    caps = [each for each in config.budgets if _refuses(each, config)]
    if config.billing.on_unpriced == "allow" or not (caps or config.billing.enabled):
        return []
    found = dict[str, None]()
    for model in config.models:
        capped = config.billing.enabled or any(_applies(each, model) for each in caps)
        if capped and model.available and not _is_priced(config, model, prices()):
            found[model.name] = None
    return sorted(found)


def _refuses(budget: BudgetSettings, config: Config) -> bool:
    """Whether a call can be refused for it: without authentication a call has no owner, team, key or project."""
    known = config.auth.mode != "none" or budget.per not in CALLERS
    return budget.usd is not UNSET and not budget.soft and known


def _applies(budget: BudgetSettings, model: ModelSettings) -> bool:
    if not budget.only or budget.per not in ("model", "provider"):
        return True
    return (model.name if budget.per == "model" else model.provider) in budget.only


def _is_priced(config: Config, model: ModelSettings, prices: PriceCatalog) -> bool:
    if operator_sheet(model) is not None:
        return True
    provider = config.providers.get(model.provider)
    if provider is None:
        return True
    return all(prices.sheet(address, model.upstream_model) is not None for address in provider.addresses)
