"""The console script ``sluice``: checks that ``proxy`` is Sluice's package before it imports any more of it."""

from __future__ import annotations

import sys

import proxy
from proxy.runtime.namesake import shadowed_by


def main() -> int:
    """Run the command line. Returns 1, with an explanation, if another project's package replaced Sluice's."""
    if complaint := shadowed_by(proxy):
        print(f"sluice: {complaint}", file=sys.stderr)
        return 1
    from proxy.__main__ import main as run

    return run()
