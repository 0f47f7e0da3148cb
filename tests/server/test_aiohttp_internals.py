"""The private names of aiohttp: they stand in one list, which is checked at start."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from aiohttp.streams import StreamReader
from aiohttp.web import BaseRequest, Response, StreamResponse
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from proxy.errors import ConfigError
from proxy.server.aiohttp_internals import NAMES, check

PACKAGE = Path(__file__).resolve().parents[2] / "proxy"
LIST = PACKAGE / "server" / "aiohttp_internals.py"
CLASSES = (BaseProtocol, HttpRequestParser, RequestHandler, Server, StreamReader, BaseRequest, Response, StreamResponse)
PRIVATE = {
    name for each in CLASSES for base in each.__mro__[:-1] for name in vars(base) if name[0] == "_" and name[1] != "_"
}
LISTED = {name for names in NAMES.values() for name in names}


def uses_aiohttp(tree: ast.Module) -> bool:
    """Whether the file imports aiohttp, or the connection that derives from it."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module is not None
        and node.module.startswith(("aiohttp", "proxy.server.connection"))
        for node in ast.walk(tree)
    )


def own_names(tree: ast.Module) -> set[str]:
    """Private names that the file's own classes define: slots, methods, attributes of ``self`` that are assigned."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not _derives_from_aiohttp(node):
            for each in ast.walk(node):
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(each.name)
                elif isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and _is_self(each.value):
                    found.add(each.attr)
    return found


def _derives_from_aiohttp(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base) in ("RequestHandler", "web.Server", "BaseProtocol") for base in node.bases)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def private_names(tree: ast.Module) -> Iterator[str]:
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE:
            if not (_is_self(node.value) and node.attr in own):
                yield node.attr
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in PRIVATE - own:
            yield node.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("aiohttp"):
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))


def test_this_version_of_aiohttp_has_every_name() -> None:
    check()


def test_a_version_without_a_name_is_a_mistake_that_names_it_and_what_to_install() -> None:
    with pytest.raises(ConfigError) as caught:
        check({RequestHandler: ("_messages", "_gone"), StreamReader: ("_lost",)})
    (mistake,) = caught.value.mistakes
    assert mistake == (
        f"aiohttp {aiohttp.__version__} does not fit: it has no RequestHandler._gone, StreamReader._lost."
        " Install the version that Sluice was tested with: pip install 'aiohttp~=3.14.0'"
    )


def test_no_private_name_of_aiohttp_is_used_outside_the_list() -> None:
    used: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if path != LIST and uses_aiohttp(tree):
            for name in private_names(tree):
                used.setdefault(name, set()).add(path.relative_to(PACKAGE).as_posix())
    assert {name: sorted(paths) for name, paths in used.items() if name not in LISTED} == {}
    assert LISTED - {"exc"} <= set(used), "a name is listed that nothing uses"
