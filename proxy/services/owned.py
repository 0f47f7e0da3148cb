"""Paths that no route may take, as they are the gateway's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from proxy.config.service_schema import RouteSettings

_PARAMETER: Final = re.compile(r"\{\+?[A-Za-z][A-Za-z0-9_]*\}")


def owned_mistake(route: RouteSettings, owns: Callable[[str], bool]) -> str:
    """The line that refuses a route whose path is the gateway's own; ``""``: it is not.

    A route for more than that, such as ``/``, is fine: the gateway's own paths go before.
    """
    key = "pattern" if route.pattern else "path"
    path = route.pattern or route.path
    if path and path != "/" and owns(_PARAMETER.sub("x", path)):
        return f"{key}: {path} is the gateway's own path, which no route can take"
    return ""
