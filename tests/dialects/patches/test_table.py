from __future__ import annotations

from proxy.config import patches as names
from proxy.dialects.patches.table import PATCHES
from proxy.routing.endpoints import ENDPOINTS


def test_the_table_has_exactly_the_patches_that_each_dialect_may_name() -> None:
    found: dict[str, set[str]] = {dialect: set() for dialect in names.PATCHES}
    wires = {endpoint.path: endpoint.wire for endpoint in ENDPOINTS}
    for path, patches in PATCHES.items():
        assert len({patch.name for patch in patches}) == len(patches)
        found[wires[path]] |= {patch.name for patch in patches}
    assert found == {dialect: set(listed) for dialect, listed in names.PATCHES.items()}
