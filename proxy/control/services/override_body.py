"""The body of an override: weights and drained marks that an operator set of a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET, UnsetType


def with_weight(body: Mapping[str, Any], weight: float | None) -> dict[str, Any]:
    """``weight``: of the service; ``None``: none of its own."""
    found = {name: value for name, value in body.items() if name != "weight"}
    return found if weight is None else found | {"weight": weight}


def with_address(
    body: Mapping[str, Any], url: str, weight: float | UnsetType | None = UNSET, drained: bool | UnsetType = UNSET
) -> dict[str, Any]:
    """``UNSET``: as before."""
    addresses = dict(body.get("addresses", {}))
    address = dict(addresses.pop(url, {}))
    if weight is not UNSET:
        address["weight"] = weight
    if drained is not UNSET:
        address["drained"] = drained
    kept = {name: value for name, value in address.items() if value is not None and value is not False}
    return _with_addresses(body, addresses | ({url: kept} if kept else {}))


def without_addresses(body: Mapping[str, Any], urls: Iterable[str]) -> dict[str, Any]:
    """Nothing is set of these addresses any more."""
    gone = set(urls)
    return _with_addresses(body, {url: each for url, each in body.get("addresses", {}).items() if url not in gone})


def without_weights(body: Mapping[str, Any], urls: Iterable[str]) -> dict[str, Any]:
    """These addresses have their own weights again. They stay drained."""
    found = dict(body)
    for url in urls:
        found = with_address(found, url, weight=None)
    return found


def _with_addresses(body: Mapping[str, Any], addresses: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in body.items() if name != "addresses"}
    return found | ({"addresses": dict(addresses)} if addresses else {})
