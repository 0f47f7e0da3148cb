"""The compose files as documents, and the variables that they use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DEVELOPMENT = DEPLOY / "compose.yaml"
PRODUCTION = DEPLOY / "compose.prod.yaml"
FILES = (DEVELOPMENT, PRODUCTION)
EXAMPLE = DEPLOY / ".env.example"

# A value for each variable that production requires.
VALUES = {
    "SLUICE_DOMAIN": "gateway.example.org",
    "ADMIN_TOKEN": "the-admin-token-of-a-test",
    "POSTGRES_PASSWORD": "postgres-secret",
    "REDIS_PASSWORD": "redis-secret",
    "GRAFANA_PASSWORD": "grafana-secret",
    "ALERT_WEBHOOK_URL": "https://alerts.example.org/hook",
}

# ${NAME}, ${NAME:-default}, ${NAME:?message}; "$$" is a dollar sign.
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<text>[^}]*))?\}")


def services(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text())["services"]
    return found


def variables(file: Path) -> set[str]:
    """Names of all variables of a compose file, without its comments."""
    text = str(yaml.safe_load(file.read_text()))
    return {found["name"] for found in _VARIABLE.finditer(text) if found["name"]}


def required(file: Path) -> dict[str, str]:
    """The variables that compose refuses to go on without, with the sentences that it prints."""
    text = str(yaml.safe_load(file.read_text()))
    return {found["name"]: found["text"] for found in _VARIABLE.finditer(text) if found["kind"] == ":?"}


def filled(text: str, values: dict[str, str]) -> str:
    """``text`` with the variables as compose fills them in."""

    def value(found: re.Match[str]) -> str:
        if not found["name"]:
            return "$"
        if chosen := values.get(found["name"]):
            return chosen
        assert found["kind"] != ":?", found["text"]
        return found["text"] or ""

    return _VARIABLE.sub(value, text)


def example_variables() -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", EXAMPLE.read_text(), re.MULTILINE))


def mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    """Source and target of each mounted file or folder of the repository, the source as it is written."""
    found = []
    for each in service.get("volumes", ()):
        parts = filled(each, {}).split(":")
        if len(parts) > 1 and parts[0].startswith((".", "/")):
            found.append((parts[0], parts[1]))
    return found


def environment(file: Path, service: str, values: dict[str, str]) -> dict[str, str]:
    """The environment of a service, with the variables filled in."""
    return {name: filled(str(text), values) for name, text in services(file)[service]["environment"].items()}
