"""Reads the data of the package genai-prices out of its wheel, without importing it.

Its module ``data.py`` is one expression of constructor calls. Evaluating the syntax tree needs none of its
dependencies, and runs none of its code.
"""

from __future__ import annotations

import ast
import zipfile
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Node:
    """A constructor call: its name and keyword arguments."""

    kind: str
    members: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        return self.members.get(name, default)


def providers(wheel: Path) -> list[Node]:
    """The providers of the package."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("genai_prices/data.py").decode()
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", "") == "providers":
            found: list[Node] = _value(statement.value)
            return found
    raise ValueError("genai_prices/data.py has no providers")


def license_text(wheel: Path) -> str:
    """The license of the package, which goes with every copy."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(each for each in archive.namelist() if each.endswith("/LICENSE"))
        return archive.read(name).decode()


def version(wheel: Path) -> str:
    return f"genai-prices {wheel.name.split('-')[1]}"


def _value(node: ast.expr | None) -> Any:
    match node:
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True)}
        case ast.Call(func=ast.Attribute(attr="date"), args=args):
            return date(*map(_value, args))
        case ast.Call(func=ast.Attribute(attr="time"), args=args):
            return time(*map(_value, args))  # all of them are UTC
        case ast.Call(func=ast.Name(id="Decimal"), args=[text]):
            return Decimal(_value(text))
        case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords):
            return Node(name, {each.arg or "": _value(each.value) for each in keywords})
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp() | ast.BinOp() | ast.JoinedStr():
            return ast.literal_eval(node)
    raise ValueError(f"unexpected syntax: {ast.dump(node)[:200] if node is not None else node}")
