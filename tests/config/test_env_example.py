"""``.env.example`` shows every variable of the table; ``python -m tests.config.test_env_example > .env.example``."""

from __future__ import annotations

from pathlib import Path

from proxy.config.loader import load
from proxy.config.schema import Config
from proxy.config.texts import is_placeholder
from proxy.config.variables import VARIABLES

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
HEAD = """\
# Copy this file to .env, remove the # in front of what you need and fill it in: `cp .env.example .env`.
#
# The key of one provider is enough to serve. A value such as your_openai_api_key_here counts as unset, and so does an
# empty one. The process's own environment wins over this file. `sluice check` names the variables that are in force.
"""
SECTIONS = (
    ("Keys of known providers", lambda v: v.name.endswith("_API_KEY")),
    ("These win over the configuration file", lambda v: v.wins),
    ("The configuration file wins over these", lambda v: v.values is not None or v.unused),
    ("Others", lambda v: True),
)


def expected() -> str:
    left = list(VARIABLES)
    lines = [HEAD]
    for title, belongs in SECTIONS:
        lines.append(f"# -- {title} {'-' * (70 - len(title))}\n")
        lines += [f"# {each.text}\n#{each.name}={each.example}\n" for each in filter(belongs, left)]
        left = [variable for variable in left if not belongs(variable)]
    return "\n".join(lines)


def test_the_example_shows_every_variable_with_its_explanation() -> None:
    assert EXAMPLE.read_text() == expected()


def test_the_example_as_copied_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{}")
    found = load(tmp_path / "config.yaml", {}, EXAMPLE)
    assert (found.config, found.notices) == (Config(), [])
    assert found.variables.in_force == found.variables.not_understood == found.variables.placeholders == []
    assert found.variables.line() == ""


def test_every_example_is_understood(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{}")
    values = {v.name: v.example for v in VARIABLES if v.name != "ROUTER_CONFIG_PATH" and not is_placeholder(v.example)}
    found = load(tmp_path / "config.yaml", values)
    assert found.variables.not_understood == []


if __name__ == "__main__":
    print(expected(), end="")
