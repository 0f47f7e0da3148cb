"""The command line: ``sluice serve | check | demo | key | db``.

Imports wait until the command is known, so that its first output comes within a second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from proxy import __version__

if TYPE_CHECKING:
    from proxy.config.loader import Loaded
    from proxy.config.provider_schema import ProviderSettings
    from proxy.config.schema import Config
    from proxy.config.source import Source

DESCRIPTION = """\
Sluice is a streaming LLM gateway: it takes OpenAI-style requests and relays each answer,
token by token, from whichever provider serves the model.
"""
EPILOG = """\
examples:
  sluice serve                                  config/config.yaml if there is one, else the environment alone
  OPENAI_API_KEY=... sluice serve               the key of a known provider is enough
  sluice serve --config my.yaml --port 9000
  sluice serve --unix-socket /run/sluice.sock
  sluice check --config my.yaml                 every mistake at once, or what would run
  sluice demo --port 9100                       the built-in provider alone, to try clients against
  sluice key new --name alice                   a new API key, and its entry for auth.keys
  sluice db upgrade                             bring the database of API keys up to date

  curl -N http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\
       -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": true}'

environment:
{environment}
and every variable that the file refers to as ${NAME} or ${NAME:-default}

The command line wins over the environment. A file .env in the working directory may hold all of these (NAME=value, one
on a line); the process's own environment wins. .env.example shows them all. A value such as your_key_here counts as
unset. The start line names the variables in force, overridden and not understood. Every key of the configuration is
explained in config/config.yaml.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status: 0, or 1 for a configuration with mistakes."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "demo":
        from proxy.demo.server import main as demo

        return demo(arguments.host, arguments.port)
    if arguments.command == "key":
        from proxy.auth.command import main as key

        status = key(arguments)
        if arguments.key_command == "new":
            _warn_unused(arguments)
        return status
    if arguments.command == "db":
        return _upgrade(arguments)
    return _check(arguments) if arguments.command == "check" else _serve(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    source = _source(arguments)
    loaded = _load(source)
    if loaded is None:
        return 1
    from proxy.config.listening import address
    from proxy.errors import ConfigError
    from proxy.process import run

    try:
        run(loaded, source, lambda line: print(line, flush=True), insecure=arguments.insecure)
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1
    except OSError as error:
        server = loaded.config.server
        where = error.filename or address(server, server.port)
        section, hint = "server", "" if server.unix_socket else "; use --port or LISTEN_PORT"
        if where != address(server, server.port):
            section, hint = "admin.listen", ""
        print(f"{section}: cannot listen on {where}: {error.strerror or error}{hint}", file=sys.stderr)
        return 1
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from proxy.config.any_model import any_model, fallback_only
    from proxy.limits.overview import overview

    loaded = _load(_source(arguments))
    if loaded is None:
        return 1
    from proxy.config.exposure import refusal
    from proxy.config.left_out import summary
    from proxy.config.listening import address

    config = loaded.config
    print(f"configuration: {loaded.path or 'built-in defaults'}")
    print(f"address: {address(config.server, config.server.port)}")
    print(f"providers:{'' if config.providers else f' {_no_provider(config)}'}")
    accepting, only = any_model(config), fallback_only(config)
    for name, provider in config.providers.items():
        names = "  takes any model name" if name in accepting else "  only as the fallback" if name == only else ""
        print(f"  {name}  {', '.join(provider.addresses)}  {_key(provider)}{names}")
    if config.providers:
        print("models:" if config.models else "models: none listed, GET /v1/models has those of the providers")
    for model in config.models:
        upstream = f"  as {model.upstream_model}" if model.upstream_model != model.name else ""
        available = "" if model.available else "  (not available)"
        print(f"  {model.name}  at {model.provider}{upstream}{available}")
    print(f"clients: {_clients(config)}")
    print("limits: " + "\n  ".join(overview(config)))
    if line := loaded.variables.line():
        print(f"environment: {line}")
    refused = refusal(config, insecure=arguments.insecure)
    for notice in [
        *loaded.notices,
        *summary(loaded.left_out),
        *([f"serve refuses this: {refused}"] if refused else []),
    ]:
        print(f"notice: {notice}")
    return 1 if refused else 0


def _no_provider(config: Config) -> str:
    from proxy.config.known_providers import NONE_USABLE

    return "none, so the built-in demo provider serves" if config.demo == "auto" else f"none. {NONE_USABLE}"


def _clients(config: Config) -> str:
    auth = config.auth
    if auth.mode == "none":
        return "anybody who can reach the address"
    kinds = []
    if auth.mode in ("keys", "any"):
        kept = " and those in the database" if config.database.enabled else ""
        kinds.append(f"API keys ({len(auth.keys)} in the configuration{kept})")
    if auth.mode in ("jwt", "any"):
        kinds.append("JSON Web Tokens")
    return " or ".join(kinds)


def _warn_unused(arguments: argparse.Namespace) -> None:
    """Print a notice on stderr if the configuration asks for no key. Its mistakes are left to ``check``."""
    import os

    from proxy.auth.apikey import unused
    from proxy.config.loader import load
    from proxy.config.source import ENV_FILE
    from proxy.errors import ConfigError

    env_file = arguments.env_file or (ENV_FILE if ENV_FILE.exists() else None)
    try:
        mode = load(arguments.config, os.environ, env_file).config.auth.mode
    except ConfigError:
        return
    if notice := unused(mode):
        print(f"notice: {notice}", file=sys.stderr)


def _upgrade(arguments: argparse.Namespace) -> int:
    loaded = _load(_source(arguments))
    if loaded is None:
        return 1
    import asyncio

    from proxy.database.opening import upgrade
    from proxy.errors import ConfigError

    try:
        revisions = asyncio.run(upgrade(loaded.config.database, loaded.config.data_dir))
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1
    was = revisions.before or "empty"
    same = revisions.before == revisions.after
    print(f"database: up to date at {revisions.after}" if same else f"database: {was} -> {revisions.after}")
    return 0


def _source(arguments: argparse.Namespace) -> Source:
    import os

    from proxy.config.source import Source

    return Source(arguments.config, os.environ, arguments.env_file, partial(_overridden, arguments))


def _load(source: Source) -> Loaded | None:
    """The configuration, or ``None`` after its mistakes have been printed on stderr."""
    import asyncio

    from proxy.errors import ConfigError

    try:
        return asyncio.run(source.load())
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return None


def _overridden(arguments: argparse.Namespace, loaded: Loaded) -> Loaded:
    """``loaded`` with the command line's listener; a host or port replaces a unix socket."""
    from msgspec.structs import replace

    chosen = {name: getattr(arguments, name) for name in ("host", "port", "unix_socket")}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if chosen:
        chosen.setdefault("unix_socket", "")
    server = replace(loaded.config.server, **chosen)
    return replace(loaded, config=replace(loaded.config, server=server))


def _key(provider: ProviderSettings) -> str:
    if provider.keyless:
        return "no key"
    return "key ********" if len(provider.keys) == 1 else f"{len(provider.keys)} keys ********"


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    from proxy.auth.command import add_parsers as add_key_parsers

    shape = argparse.RawDescriptionHelpFormatter
    epilog = EPILOG.replace("{environment}", _environment())
    parser = argparse.ArgumentParser("sluice", description=DESCRIPTION, epilog=epilog, formatter_class=shape)
    parser.add_argument("--version", action="version", version=f"sluice {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="serve | check | demo | key | db")
    gateway = _gateway_options()
    commands.add_parser(
        "serve",
        parents=[gateway],
        epilog=epilog,
        formatter_class=shape,
        help="run the gateway",
        description="Run the gateway until SIGTERM or SIGINT; running answers get server.drainSecs to end.",
    )
    commands.add_parser(
        "check",
        parents=[gateway],
        formatter_class=shape,
        help="validate the configuration and print what would run",
        description="Validate the configuration and print what `serve` with the same options would run. "
        "All mistakes are printed at once, one on a line. Mistakes, and an address that `serve` refuses, end in "
        "exit status 1.",
    )
    add_key_parsers(commands, _file_options())
    database = commands.add_parser("db", help="manage the database of API keys")
    steps = database.add_subparsers(dest="db_command", required=True, metavar="upgrade")
    steps.add_parser(
        "upgrade",
        parents=[gateway],
        help="bring its tables up to date",
        description="Run the missing migrations, as each start does. Several processes may do so at once.",
    )
    demo = commands.add_parser(
        "demo",
        help="run the demo provider alone",
        epilog=_demo_models(),
        formatter_class=shape,
        description="Run the built-in OpenAI-compatible demo provider alone. It accepts any API key. Some of its "
        "models fail on purpose.",
    )
    demo.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    demo.add_argument("--port", type=_port, default=9099, help="0: any free one (default: %(default)s)")
    return parser


def _demo_models() -> str:
    """Every model of the demo with its description; those that answer come first."""
    from proxy.demo.models import MODELS

    groups = (
        ("models that answer:", [model for model in MODELS if model.fault is None]),
        ("models that fail on purpose, each without harm to the others:", [model for model in MODELS if model.fault]),
    )
    return "\n".join(
        line for title, group in groups for line in (title, *(f"  {each.name:<20}{each.description}" for each in group))
    )


def _environment() -> str:
    """Every variable with its description; those that override the file come first."""
    from proxy.config.variables import VARIABLES

    groups = (
        ("  instead of what the file says:", [each for each in VARIABLES if each.wins]),
        ("  where the file does not say:", [each for each in VARIABLES if each.values and not each.wins]),
        ("  others:", [each for each in VARIABLES if not each.values]),
    )
    return "\n".join(
        line for title, group in groups for line in (title, *(f"    {each.name:<34}{each.text}" for each in group))
    )


def _file_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--config", type=Path, metavar="FILE", help="configuration file (YAML)")
    options.add_argument("--env-file", type=Path, metavar="FILE", help="more variables (default: .env)")
    return options


def _gateway_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False, parents=[_file_options()])
    options.add_argument("--host", metavar="ADDRESS", help="instead of server.host")
    options.add_argument("--port", type=_port, metavar="PORT", help="instead of server.port; 0: any free one")
    options.add_argument("--unix-socket", metavar="PATH", help="listen on a unix socket instead")
    options.add_argument(
        "--insecure",
        action="store_true",
        help="allow an address beyond loopback without authentication: anyone who reaches it can use your keys",
    )
    return options


if __name__ == "__main__":
    sys.exit(main())
