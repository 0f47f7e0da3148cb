"""Advice on budgets that are valid and probably wrong: they name what is not configured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxy.config.any_model import any_model
from proxy.config.billing_schema import BudgetSettings
from proxy.config.checks import is_url
from proxy.config.mistakes import near, quoted
from proxy.config.schema import Auth, Config

CONFIGURED = "config:"  # what the IDs of keys in the file begin with


def unknown_subjects(config: Config, left_out: Iterable[str], listed: Iterable[str]) -> Iterator[str]:
    """A line for each name in ``only`` of a budget that no call can have, where the file says all names there are.

    ``left_out``: models whose providers are not in use. ``listed``: all providers of the file. Nothing is known of
    teams, owners, projects and labels, nor of keys in the database. Models are not known either if a provider takes
    any, or if their list is at a URL.
    """
    models = _models(config, left_out)
    providers = {*config.providers, *listed} if config.providers or config.demo == "never" else None
    for number, budget in enumerate(config.budgets):
        known = models if budget.per == "model" else providers if budget.per == "provider" else None
        if budget.per == "key" and config.auth.mode in ("keys", "any"):
            known = _keys(config.auth, budget, with_others=config.database.enabled)
        if known is None:
            continue
        for name in budget.only:
            if name not in known:
                text = f"no {budget.per} {quoted(name)} is configured, so the budget counts nothing for it"
                yield f"budgets[{number}].only: {text}{near(name, known)}"


def _models(config: Config, left_out: Iterable[str]) -> set[str] | None:
    """``None``: there may be others."""
    if any_model(config) or not config.providers or is_url(config.models_file):
        return None
    fallback = config.routing.fallback
    return {*(each.name for each in config.models), *left_out, *([fallback.model] if fallback is not None else ())}


def _keys(auth: Auth, budget: BudgetSettings, *, with_others: bool) -> set[str]:
    """IDs and names of the keys. ``with_others``: and what a key in the database may be called."""
    names = {each.name for each in auth.keys}
    others = {each for each in budget.only if not each.startswith(CONFIGURED)} if with_others else set[str]()
    return {*names, *(f"{CONFIGURED}{each}" for each in names), *others}
