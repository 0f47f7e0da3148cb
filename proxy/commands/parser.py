"""The command line's options and its help."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy import __version__

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

COMMANDS = "serve | check | health | demo | key | token | db | ledger | events | record | paths"
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
  sluice token new --sub alice                  a JWT for a client, signed with JWT_SECRET_KEY
  sluice db upgrade                             bring the database of API keys up to date
  sluice db backup keys.db                      copy the SQLite database while the gateway runs
  sluice ledger export --from 2026-11-01        what each attempt used and cost, as CSV
  sluice ledger consume                         write what gateways without a database used into this one
  sluice events dead                            what webhooks and consumers of the broker did not take
  sluice record                                 write what a stopped gateway left in dataDir into the ledger

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

RECORD = """\
Write the attempts that gateways have left in dataDir/spool into the ledger, and close those of gateways that died.
A running gateway does it by itself, in a child process. Exit status 0 if everything is written, 1 if something is
left, 75 if another recorder works there.
"""


def parser() -> argparse.ArgumentParser:
    from proxy.auth.command import add_parsers as add_key_parsers
    from proxy.commands.events import add_parsers as add_event_parsers

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
        help="also try everything that it names: addresses, certificates, database, Redis, broker, each provider with"
        " its key; exit status 1 if one fails",
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
    _add_token(commands, _file_options())
    _add_database(commands, gateway)
    _add_ledger(commands, gateway)
    add_event_parsers(commands, gateway, _moment)
    record = commands.add_parser(
        "record",
        parents=[gateway],
        help="write what a stopped gateway left into the ledger",
        description=RECORD,
    )
    record.add_argument("--once", action="store_true", help="end when everything is written")
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


def _add_token(commands: Commands, options: argparse.ArgumentParser) -> None:
    token = commands.add_parser("token", help="sign JSON Web Tokens for clients")
    steps = token.add_subparsers(dest="token_command", required=True, metavar="new")
    new = steps.add_parser(
        "new",
        parents=[options],
        help="print a token",
        description="Print a token that the gateway accepts, signed (HS256) with auth.jwt.secret or JWT_SECRET_KEY. "
        "Issuer and audience are those of auth.jwt. A token cannot be revoked: it is valid until it expires.",
    )
    new.add_argument("--sub", type=_subject, required=True, metavar="SUBJECT", help="the name of the client")
    new.add_argument(
        "--minutes",
        type=_minutes,
        metavar="N",
        help="until it expires (default: auth.jwt.tokenMinutes, or JWT_ACCESS_TOKEN_EXPIRE_MINUTES)",
    )
    new.add_argument(
        "--claim",
        type=_claim,
        action="append",
        metavar="NAME=VALUE",
        help="a further claim, such as team=red or models='[\"gpt-*\"]'; VALUE is JSON, else text; repeat for more",
    )


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


def _add_ledger(commands: Commands, options: argparse.ArgumentParser) -> None:
    ledger = commands.add_parser("ledger", help="verify, export or anonymize what was used, or take it from the broker")
    steps = ledger.add_subparsers(dest="ledger_command", required=True, metavar="verify | export | forget | consume")
    verify = steps.add_parser(
        "verify",
        parents=[options],
        help="compare sums, budgets and accounts with the rows",
        description="Compare the sums by hour, what budgets spent and what accounts have with the rows of the attempts "
        "and the transfers, for hours whose rows are all kept (ledger.keepDays). Each figure that differs is a line, "
        "and ends in exit status 1. Gateways go on meanwhile.",
    )
    verify.add_argument("--repair", action="store_true", help="write sums that differ anew from the rows")
    export = steps.add_parser(
        "export",
        parents=[options],
        help="print the rows of attempts",
        description="Print a row for each attempt, in the order of time. `at` is in Unix seconds, costs are in "
        "billionths of a USD; what is unknown is empty, or null in JSON.",
    )
    export.add_argument("--from", dest="begin", type=_moment, metavar="ISO", help="begun then or later (default: all)")
    export.add_argument("--to", dest="end", type=_moment, metavar="ISO", help="begun before (default: all)")
    export.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="(default: %(default)s)")
    forget = steps.add_parser(
        "forget",
        parents=[options],
        help="put a pseudonym in the place of an owner",
        description="Replace OWNER in every row and sum by a random pseudonym, so that sums stay right and name "
        "nobody. The client becomes the pseudonym too. Key, run and labels are cleared. Team and project stay. So "
        "do the amounts of its account, and what operators wrote about them. The "
        "owner's API keys, logs and backups are not changed. A run that was stopped can be started again. Attempts "
        "that a running gateway has not written yet come later: run it again then.",
    )
    forget.add_argument("owner", type=_owner, metavar="OWNER", help="as in keys and tokens")
    forget.add_argument(
        "--as", dest="pseudonym", type=_pseudonym, metavar="PSEUDONYM", help="that of an earlier run for this owner"
    )
    consume = steps.add_parser(
        "consume",
        parents=[options],
        help="write rows of gateways without a database (ledger.mode: events) into this one",
        description="Take the rows that gateways with ledger.mode: events send to the broker (events.url), and write "
        "them into the database, each once. Runs until SIGTERM or SIGINT; any number may run side by side. A message "
        "that is no row goes to the dead letters. With --once the exit status is 0 if nothing is left, else 1.",
    )
    consume.add_argument("--once", action="store_true", help="end when no message waits")


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


def _moment(text: str) -> float:
    """Unix seconds."""
    from datetime import datetime

    from proxy.config.checks import moment

    try:
        return datetime.fromisoformat(moment(text)).timestamp()
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error) or "expected a date") from None


def _owner(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("expected the name of an owner")
    return text


def _subject(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected the name of a client")
    return text


def _minutes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of minutes from 1 to 999999999, got {text!r}")
    return int(text)


def _claim(text: str) -> tuple[str, Any]:
    """Name and value of a claim."""
    import json

    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _pseudonym(text: str) -> str:
    if not re.fullmatch(r"gone-[0-9a-f]{16}", text):
        raise argparse.ArgumentTypeError("expected gone- and 16 hexadecimal digits, as an earlier run printed them")
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return int(text)
