"""Child processes that run this package, with the same interpreter and the same import path."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def python_command(*arguments: str) -> list[str]:
    """``-P``: the working directory is not searched for modules, which may be anything."""
    return [sys.executable, "-P", *arguments]


def python_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` with our own import path, which a console script or ``python -m`` has set up."""
    return {**environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
