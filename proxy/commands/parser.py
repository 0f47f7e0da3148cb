"""The command line's options and its help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from proxy import __version__

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

COMMANDS = "serve | check | health | demo | key | db | paths"
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
  sluice check --live                           also whether providers, keys, Redis and the database work
  sluice health --ready                         exit status 0 if the gateway answers
  sluice demo --port 9100                       the built-in provider alone, to try clients against
  sluice key new --name alice                   a new API key, and its entry for auth.keys
  sluice db upgrade                             bring the database of API keys up to date
  sluice db backup keys.db                      copy the SQLite database while the gateway runs

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

HEALTH = """\
Ask the gateway that `serve` with the same options and environment runs. Exit status 0 if it answers, else 1 and the
reason. For health checks of containers and load balancers.
"""


def parser() -> argparse.ArgumentParser:
    from proxy.auth.command import add_parsers as add_key_parsers

    shape = argparse.RawDescriptionHelpFormatter
    epilog = EPILOG.replace("{environment}", _environment())
    sluice = argparse.ArgumentParser("sluice", description=DESCRIPTION, epilog=epilog, formatter_class=shape)
    sluice.add_argument("--version", action="version", version=f"sluice {__version__}")
    commands = sluice.add_subparsers(dest="command", required=True, metavar=COMMANDS)
    gateway = _gateway_options()
    commands.add_parser(
        "serve",
        parents=[gateway],
        epilog=epilog,
        formatter_class=shape,
        help="run the gateway",
        description="Run the gateway until SIGTERM or SIGINT; running answers get server.drainSecs to end.",
    )
    check = commands.add_parser(
        "check",
        parents=[gateway],
        formatter_class=shape,
        help="validate the configuration and print what would run",
        description="Validate the configuration and print what `serve` with the same options would run. "
        "All mistakes are printed at once, one on a line. Mistakes, and an address that `serve` refuses, end in "
        "exit status 1.",
    )
    check.add_argument(
        "--live",
        action="store_true",
        help="also try everything that it names: addresses, certificates, database, Redis, each provider with its key;"
        " exit status 1 if one fails",
    )
    check.add_argument(
        "--json", action="store_true", help="print only the findings of --live, as one JSON array (implies --live)"
    )
    commands.add_parser(
        "health",
        parents=[_health_options()],
        help="ask the running gateway whether it is well",
        description=HEALTH,
    )
    add_key_parsers(commands, _file_options())
    _add_database(commands, gateway)
    commands.add_parser(
        "paths",
        parents=[gateway],
        help="print where the files and the address are, for scripts",
        description="Print the files, folders and addresses of the configuration as name=value lines, without secrets.",
    )
    demo = commands.add_parser(
        "demo",
        help="run the demo provider alone",
        epilog=_demo_models(),
        formatter_class=shape,
        description="Run the built-in demo provider alone. It accepts any API key. Some of its models fail on purpose.",
    )
    demo.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    demo.add_argument("--port", type=_port, default=9099, help="0: any free one (default: %(default)s)")
    return sluice


def _add_database(commands: Commands, options: argparse.ArgumentParser) -> None:
    database = commands.add_parser("db", help="manage the database of API keys")
    steps = database.add_subparsers(dest="db_command", required=True, metavar="upgrade | backup | restore | run")
    steps.add_parser(
        "upgrade",
        parents=[options],
        help="bring its tables up to date",
        description="Run the missing migrations, as each start does. Several processes may do so at once.",
    )
    backup = steps.add_parser(
        "backup",
        parents=[options],
        help="copy the SQLite file, also while a gateway writes to it",
        description="Write a consistent, checked copy of the SQLite database to a new file with mode 0600. Gateways go "
        "on meanwhile. For PostgreSQL use `sluice db run pg_dump`.",
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="a file that does not exist yet")
    restore = steps.add_parser(
        "restore",
        parents=[options],
        help="replace the SQLite file by a backup",
        description="Put a checked copy of the backup in the place of the SQLite database, at once as a whole. The "
        "previous file is kept under another name. Refused while a gateway uses the database.",
    )
    restore.add_argument("file", type=Path, metavar="FILE", help="a file that `sluice db backup` wrote")
    restore.add_argument("--force", action="store_true", help="also if the database has keys")
    run = steps.add_parser(
        "run",
        parents=[options],
        help="run a command of PostgreSQL, such as pg_dump or psql, with the configured database",
        description="Run COMMAND with the variables of libpq (PGHOST, PGPASSWORD, ...) of database.url in its "
        "environment, so that the password is on no command line. Options of sluice come before COMMAND.",
    )
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")


def health_parser() -> argparse.ArgumentParser:
    """The parser of ``sluice health`` alone: a health check must not pay for the imports of the others."""
    return argparse.ArgumentParser("sluice health", parents=[_health_options()], description=HEALTH)


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


def _health_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False, parents=[_gateway_options()])
    options.add_argument("--ready", action="store_true", help="ask /ready (a provider is usable), not /health/live")
    options.add_argument("--url", metavar="URL", help="the gateway's address instead: http://HOST:PORT or unix:/PATH")
    options.add_argument("--cert", metavar="FILE", help="a client certificate, where server.tls.clientCa requires one")
    options.add_argument("--key", metavar="FILE", help="its key, if it is in another file")
    return options


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)
