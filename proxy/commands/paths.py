"""``sluice paths``: where the configuration puts files and listens, as ``name=value`` lines for scripts. No secrets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, inspect

from proxy.commands.loading import load, source_of
from proxy.config.checks import is_url
from proxy.config.environment import ENV_FILE
from proxy.config.listening import browser_address
from proxy.config.loader import Loaded
from proxy.config.schema import Config
from proxy.control.access.token_file import NAME
from proxy.database.address import address_of


def main(arguments: argparse.Namespace) -> int:
    loaded = load(source_of(arguments))
    if loaded is None:
        return 1
    print("\n".join(lines(loaded, arguments.env_file)))
    return 0


def lines(loaded: Loaded, env_file: Path | None) -> Iterator[str]:
    """One line for each path; ``file`` is repeated, and comes once for each file that a backup needs."""
    config = loaded.config
    data, server = Path(config.data_dir).absolute(), config.server
    address = address_of(config.database, data)
    yield f"config={_absolute(loaded.path)}"
    yield f"data={data}"
    yield f"admin_token={'' if config.admin.token else data / NAME}"
    yield f"database={address.kind if config.database.enabled else 'none'}"
    yield f"database_at={Path(address.target).absolute() if address.kind == 'sqlite' else address}"
    yield f"address={browser_address(server, server.port)}"
    yield f"port={0 if server.unix_socket else server.port}"
    yield f"admin_port={_port_of(config.admin.listen)}"
    yield f"certificate={_absolute(Path(server.tls.cert_file) if server.tls else None)}"
    yield f"drain_secs={server.drain_secs:g}"
    yield from (f"file={each}" for each in _files(loaded, env_file))


def _files(loaded: Loaded, env_file: Path | None) -> dict[str, None]:
    """The configuration, the models, the environment file, and every file that the configuration names."""
    environment = env_file or (ENV_FILE if ENV_FILE.is_file() else None)
    named = _named(inspect.type_info(Config), loaded.config)
    return dict.fromkeys(str(each.absolute()) for each in (loaded.path, environment, *named) if each is not None)


def _named(kind: Any, value: Any) -> Iterator[Path]:
    """Values of the kinds ``file`` and ``file or url`` (``config.types``), without URLs."""
    if isinstance(kind, inspect.Metadata):
        if (kind.extra or {}).get("kind") in ("file", "file or url") and value and not is_url(value):
            yield Path(value)
        return
    if isinstance(kind, inspect.UnionType):
        kind = next((each for each in kind.types if isinstance(each, inspect.StructType)), None)
    if isinstance(kind, inspect.StructType) and isinstance(value, Struct):
        for field in kind.fields:
            yield from _named(field.type, getattr(value, field.name))
    elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
        for each in value.values():
            yield from _named(kind.value_type, each)
    elif isinstance(kind, inspect.ListType) and isinstance(value, list):
        for each in value:
            yield from _named(kind.item_type, each)


def _port_of(listen: str) -> int:
    """Of ``admin.listen``; 0 if it is not set or a unix socket."""
    return 0 if not listen or listen.startswith("unix:") else int(listen.rpartition(":")[2])


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())
