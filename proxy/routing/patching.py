"""Which patches the requests of a deployment need, from the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET

from proxy.config.patches import PatchName, usual_patches
from proxy.config.provider_schema import ModelSettings, WireDialect
from proxy.dialects.patches.base import Patch
from proxy.dialects.patches.table import ALWAYS, PATCHES
from proxy.providers.provider import Site
from proxy.routing.endpoints import WIRES

Patches = Mapping[str, tuple[Patch, ...]]  # by the path of the endpoint; only paths with any


def patches_of(main: Site, model: ModelSettings | None) -> Patches:
    """The patches for a model of a provider at one of its addresses. Those of the model replace the provider's."""
    found = {}
    for path, patches in PATCHES.items():
        wire = WIRES[path]
        if wire not in main.speaking:
            continue
        own = UNSET if model is None else model.patches
        names = _of_provider(main, wire) if own is UNSET else own
        if chosen := tuple(patch for patch in patches if patch.name in names):
            found[path] = chosen
    return found


def united(all_patches: Iterable[Patches]) -> Patches:
    """All patches that any deployment needs, and those that are not configured."""
    found: dict[str, tuple[Patch, ...]] = {path: (patch,) for path, patch in ALWAYS.items()}
    for patches in all_patches:
        for path, chosen in patches.items():
            found[path] = tuple(dict.fromkeys((*found.get(path, ()), *chosen)))
    return found


def _of_provider(main: Site, wire: WireDialect) -> Sequence[PatchName]:
    entry = getattr(main.provider.settings.dialects, wire)
    if entry is UNSET or entry.patches is UNSET:
        return usual_patches(wire, main.speaking[wire].base_url)
    patches: Sequence[PatchName] = entry.patches
    return patches
