"""The memory that an object keeps alive by itself."""

from __future__ import annotations

import gc
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType

# Shared by all: code, and the types that it defines.
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType)


def state_size(root: object, shared: object = ()) -> int:
    """Bytes of ``root`` and of all that it refers to, but for code and for what ``shared`` refers to."""
    seen: set[int] = set()
    if shared:
        _size(shared, seen)
    return _size(root, seen)


def _size(root: object, seen: set[int]) -> int:
    total, waiting = 0, [root]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, _SHARED):
            continue
        seen.add(id(found))
        total += sys.getsizeof(found)
        waiting += _referents(found)
    return total


def _referents(found: object) -> list[object]:
    # Types without the garbage collector (msgspec's `gc=False`) hide what they refer to.
    fields = [getattr(found, name) for name in getattr(found, "__struct_fields__", ())]
    return [*gc.get_referents(found), *fields]
