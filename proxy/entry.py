"""The console script ``sluice``: it makes sure that the package is ours before anything else of it is imported."""

from __future__ import annotations

import sys

import proxy
from proxy.runtime.namesake import shadowed_by


def main() -> int:
    """The command line, or 1 with an explanation where another project's package took our place."""
    if complaint := shadowed_by(proxy):
        print(f"sluice: {complaint}", file=sys.stderr)
        return 1
    from proxy.__main__ import main as run

    return run()
