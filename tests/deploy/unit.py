"""The unit of ``deploy/systemd``, and what systemd-analyze says of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.machine import debian_program

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "sluice.service"
MOST_EXPOSURE = 3.0  # of 10


def rendered(folder: Path, program: Path, name: str = "sluice.service", text: str = "") -> Path:
    """The unit (or ``text``) with a program that exists, as systemd-analyze checks that."""
    path = folder / name
    path.write_text((text or UNIT.read_text()).replace("/opt/sluice/.venv/bin/sluice", str(program)))
    return path


def analyze(command: str, unit: Path, *options: str) -> tuple[int, str]:
    """Exit status and output of systemd-analyze, which needs no running systemd for these."""
    program = debian_program("systemd-analyze", "systemd")
    ran = subprocess.run(
        [program, command, *options, f"./{unit.name}"], cwd=unit.parent, capture_output=True, text=True, timeout=120
    )
    return ran.returncode, ran.stdout + ran.stderr


def security(unit: Path) -> tuple[int, str]:
    """Status 1 if the exposure is higher than ``MOST_EXPOSURE``."""
    return analyze("security", unit, "--offline=true", f"--threshold={MOST_EXPOSURE * 10:g}", "--no-pager")
