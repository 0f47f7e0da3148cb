"""Compiles the catalog of prices, and compares it with a second table: ``scripts/compile-prices``.

Exits with 1 if prices differ and ``differences.yaml`` does not say why.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from proxy.config.price_document import read_prices
from proxy.pricing.catalog import SHIPPED
from proxy.pricing.vendors import VENDORS, keys
from scripts.prices import genai, second
from scripts.prices.names import keys_of, matches
from scripts.prices.rows import Row, rows_of, with_tier

DIFFERENCES = Path(__file__).with_name("differences.yaml")
_SAMPLES = ("", "-20260102", "-2026-01-02", "@20260102")
_NOTICE = "Compiled by scripts/compile-prices from {version}, https://github.com/pydantic/genai-prices.\n\n{license}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/compile-prices", description=__doc__)
    parser.add_argument("genai", type=Path, help="wheel of genai-prices")
    parser.add_argument("litellm", type=Path, help="wheel of litellm")
    parser.add_argument("--today", type=date.fromisoformat, default=datetime.now(UTC).date())
    arguments = parser.parse_args()
    table = second.table(arguments.litellm)
    document = compiled(genai.providers(arguments.genai), arguments.today, table)
    version = genai.version(arguments.genai)
    document |= {
        "version": version,
        "date": arguments.today.isoformat(),
        "notice": _NOTICE.format(version=version, license=genai.license_text(arguments.genai)),
    }
    found = list(differences(document, table))
    known = reasons()
    unexplained = [each for each in found if not any(explains(entry, *each[:2]) for entry in known)]
    drop(document, known)
    text = json.dumps(dict(sorted(document.items())), separators=(",", ":"), ensure_ascii=False)
    text = text.replace('],[{"', '],\n[{"').replace('},"', '},\n"') + "\n"
    read_prices(text.encode())
    SHIPPED.write_text(text)
    models = sum(map(len, document["providers"].values()))
    print(f"{SHIPPED.name}: {len(text)} bytes, {models} names, {len(document['prices'])} prices")
    print(f"{len(found)} models differ from the second table, {len(unexplained)} of them without a reason")
    for vendor, key, line in unexplained:
        print(f"unexplained difference: {vendor} {key}: {line}", file=sys.stderr)
    return 1 if unexplained else 0


def compiled(providers: list[genai.Node], today: date, table: dict[str, Any]) -> dict[str, Any]:
    """The prices, and places in them by provider and key. Raises ValueError if a key may stand for another model."""
    prices: list[list[Row]] = []
    places: dict[str, int] = {}
    found: dict[str, dict[str, int]] = {}
    for provider in sorted(providers, key=lambda each: str(each.get("id"))):
        vendor = provider.get("id")
        if vendor not in VENDORS:
            continue
        own = found[vendor] = {}
        models = provider.get("models")
        for model in models:
            rows = rows_of(model, today)
            if vendor == "anthropic" and (factor := second.us_factor(table, str(model.get("id")))):
                rows = [with_tier(row, "us", factor) for row in rows]
            if not rows:
                continue
            place = places.setdefault(json.dumps(rows), len(prices))
            if place == len(prices):
                prices.append(rows)
            for key in keys_of(model.get("match")):
                if first_with(models, key) is model:
                    own.setdefault(key, place)
        check(vendor, own, models)
    return {
        "prices": prices,
        "providers": {vendor: dict(sorted(own.items())) for vendor, own in found.items()},
        "fallbacks": {
            each.get("id"): [other for other in each.get("fallback_model_providers") if other in VENDORS]
            for each in providers
            if each.get("id") in VENDORS and each.get("fallback_model_providers")
        },
    }


def first_with(models: list[genai.Node], key: str) -> genai.Node | None:
    """The model that genai-prices takes a key's name for."""
    name = key.strip("*")
    return next((model for model in models if matches(model.get("match"), name)), None)


def check(vendor: str, own: dict[str, int], models: list[genai.Node]) -> None:
    """Refuse a key that reaches a name which genai-prices takes for another model than the key's own."""
    for key in own:
        name = key.strip("*")
        wanted = first_with(models, key)
        for sample in _SAMPLES if key.endswith("*") else ("",):
            reached = next((each for each in keys(vendor, name + sample) if each in own), None)
            theirs = next((model for model in models if matches(model.get("match"), name + sample)), None)
            if reached == key and theirs is not None and theirs is not wanted:
                raise ValueError(f"{vendor}: {name + sample} is {theirs.get('id')}, and {key} is {wanted}")


def differences(document: dict[str, Any], table: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Provider, key and what differs, for each model in both tables. What only one of them has is no difference."""
    today = document["date"]
    for vendor, own in document["providers"].items():
        for key, place in own.items():
            rows = [
                row for row in document["prices"][place] if row.get("validFrom", "") <= today and "hours" not in row
            ]
            ours, theirs = second.flat(rows[-1]) if rows else {}, second.prices_of(table, vendor, key)
            lines = [
                f"{name} {_shown(ours[name])} / {_shown(theirs[name])}"
                for name in ours
                if name in theirs and abs(ours[name] - theirs[name]) > Decimal("0.000001")
            ]
            if lines:
                yield vendor, key, ", ".join(lines)


def reasons() -> list[dict[str, Any]]:
    """Entries ``{provider, models, reason, drop}`` of the file; ``models``: keys."""
    found: list[dict[str, Any]] = yaml.safe_load(DIFFERENCES.read_text()) if DIFFERENCES.exists() else []
    return found


def explains(entry: dict[str, Any], vendor: str, key: str) -> bool:
    return bool(entry["provider"] == vendor and key in entry["models"])


def drop(document: dict[str, Any], known: list[dict[str, Any]]) -> None:
    """Remove the models of which neither table is known to be right."""
    for entry in known:
        for key in entry["models"] if entry.get("drop") else ():
            del document["providers"][entry["provider"]][key]


def _shown(price: Decimal) -> str:
    return f"{price.normalize():f}"


if __name__ == "__main__":
    sys.exit(main())
