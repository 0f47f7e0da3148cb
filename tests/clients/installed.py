"""The clients: the npm packages of package-lock.json, 1 GB."""

from __future__ import annotations

from pathlib import Path

from tests.deploy import npm
from tests.deploy.tools import tool

FOLDER = Path(__file__).parent


def program(name: str) -> Path:
    """Path of a command of the packages."""
    return modules() / ".bin" / name


def modules() -> Path:
    """The folder ``node_modules``."""
    return npm.modules("npm", FOLDER, _put_claude_code_in_place)


def _put_claude_code_in_place(folder: Path) -> None:
    """Do the work of the script that npm would run: put the binary of Claude Code in its place."""
    npm.run(folder, tool("node"), "node_modules/@anthropic-ai/claude-code/install.cjs")
