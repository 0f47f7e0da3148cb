"""``sluice key``: generating API keys for the configuration, and hashing them."""

from __future__ import annotations

import argparse
import getpass
import sys
import textwrap
from typing import TYPE_CHECKING, Any, TextIO

from proxy.auth.apikey import PASSTHROUGH, hash_of, new_key
from proxy.config import checks
from proxy.config.labels import label_name, label_value
from proxy.config.service_checks import scope

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

SHORTEST = 20  # characters; shorter keys can be guessed from their hash
LONGEST_NAME = 200


def add_parsers(commands: Commands, files: argparse.ArgumentParser | None = None) -> None:
    """Add ``key new`` and ``key hash``; ``main`` runs them. ``files``: options that name a configuration."""
    shape = argparse.RawDescriptionHelpFormatter
    key = commands.add_parser("key", help="make API keys for the configuration", formatter_class=shape)
    kinds = key.add_subparsers(dest="key_command", required=True, metavar="new | hash")
    made = kinds.add_parser(
        "new",
        parents=[files] if files is not None else [],
        help="make a key",
        description="Make an API key. It is printed once, with its entry for auth.keys. The entry has only the hash, "
        "so the key cannot be shown again.",
    )
    _add_options(made)
    kinds.add_parser(
        "hash",
        help="print the hash of an existing key",
        description="Read a key from standard input, or prompt for it without echo, and print its hash.",
    )


def _add_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--name", type=_name, help="name of the key (default: generated)")
    made.add_argument("--owner", type=_name, help="owner of the key")
    made.add_argument("--team", type=_name, help="team that its calls are accounted to")
    made.add_argument("--project", type=_name, help="project that its calls are accounted to")
    made.add_argument(
        "--label", type=_label, action="append", metavar="NAME=VALUE", help="a label of its calls; repeat for more"
    )
    made.add_argument("--expires", type=_moment, metavar="ISO", help="a date, or a time with its zone (default: never)")
    made.add_argument(
        "--model",
        type=_name,
        action="append",
        metavar="PATTERN",
        help="a model that it may use, * matches any text; repeat for more (default: all)",
    )
    made.add_argument(
        "--provider",
        type=_name,
        action="append",
        metavar="NAME",
        help="a provider that it may use; repeat for more (default: all)",
    )
    made.add_argument(
        "--scope",
        type=_scope,
        action="append",
        help="a scope that routes to services may require; repeat for more",
    )
    made.add_argument(
        "--passthrough",
        action="store_true",
        help="allow paths that are relayed unchanged, including those that keep objects at a provider",
    )


def main(arguments: argparse.Namespace) -> int:
    """Run a parsed command. Returns the exit status."""
    if arguments.key_command == "new":
        return new(arguments, sys.stdout)
    return hash_(arguments, sys.stdin, sys.stdout)


def new(arguments: argparse.Namespace, out: TextIO) -> int:
    """Print a new key and its configuration entry."""
    secret, hash_text = new_key()
    out.write(f"The key, shown only once:\n\n  {secret}\n\n")
    out.write("For the configuration, under auth.keys:\n\n")
    out.write(textwrap.indent(_yaml(_entry(arguments, hash_text)), "    "))
    return 0


def hash_(arguments: argparse.Namespace, source: TextIO, out: TextIO) -> int:
    """Print the hash of the key on the first line of ``source``; a terminal prompts for it without echo."""
    del arguments
    secret = (getpass.getpass("Key: ") if source.isatty() else source.readline()).strip()
    complaint = _complaint(secret)
    if complaint:
        sys.stderr.write(f"sluice key hash: {complaint}\n")
        return 1
    out.write(f"{hash_of(secret)}\n")
    return 0


def _complaint(secret: str) -> str:
    if not secret:
        return "there is no key on standard input"
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        return "a key is printable ASCII text without spaces"
    if len(secret) < SHORTEST:
        return f"a key of less than {SHORTEST} characters can be guessed from its hash; make one with `sluice key new`"
    return ""


def _entry(arguments: argparse.Namespace, hash_text: str) -> dict[str, Any]:
    """A ``ConfiguredKey`` as in the file, without unset members."""
    entry = {
        "name": arguments.name or f"key-{hash_text[-8:]}",
        "hash": hash_text,
        "owner": arguments.owner,
        "team": arguments.team,
        "project": arguments.project,
        "labels": dict(arguments.label or ()),
        "expires": arguments.expires,
        "models": arguments.model,
        "providers": arguments.provider,
        "scopes": [*([PASSTHROUGH] if arguments.passthrough else ()), *(arguments.scope or ())],
    }
    return {name: _literal(value) for name, value in entry.items() if value}


def _literal(value: Any) -> Any:
    """Escape ``${``, which would be a reference to a variable."""
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {name: _literal(item) for name, item in value.items()}
    return value.replace("${", "$${")


def _yaml(entry: dict[str, Any]) -> str:
    import yaml

    # Quotes texts that YAML would read as another type, such as `no`. The width prevents folding.
    return yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=10_000)


def _name(text: str) -> str:
    if not text or len(text) > LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"must have from 1 to {LONGEST_NAME} characters")
    return _checked(checks.name, text)


def _scope(text: str) -> str:
    return _checked(scope, text)


def _label(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return _checked(label_name, name), _checked(label_value, value)


def _moment(text: str) -> str:
    return _checked(checks.moment, text)


def _checked(check: checks.Check, text: str) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
