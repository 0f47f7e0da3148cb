"""The package of ``deploy/n8n``: a copy of its files beside its npm packages, and its scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.deploy import npm
from tests.deploy.tools import tool

SOURCE = Path(__file__).resolve().parents[2] / "deploy" / "n8n"
SCRIPT_SECS = 300.0  # on a loaded machine; each takes 4 to 15 s
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")  # colors and cursor movements


def copy_package(folder: Path) -> Path:
    """Return a new subfolder of ``folder`` with the package. Its npm packages are a link into the cache."""
    made = folder / "n8n-nodes-sluice"
    shutil.copytree(SOURCE, made, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (made / "node_modules").symlink_to(npm.modules("n8n_node", SOURCE))
    return made


def run_script(package: Path, *arguments: str) -> tuple[int, str]:
    """``npm run`` with these arguments: exit status and output."""
    return _npm(package, "run", *arguments)


def unpack(package: Path, target: Path) -> None:
    """Pack a package that was built, as for a registry, and unpack it in ``target``, as its README does."""
    status, output = _npm(package, "pack")
    assert status == 0, output
    (packed,) = package.glob("*.tgz")
    subprocess.run(["tar", "-xzf", packed, "--strip-components=1", "-C", target], check=True)
    packed.unlink()


def _npm(package: Path, *arguments: str) -> tuple[int, str]:
    environ = os.environ | {"PATH": npm.search_path(), "NO_COLOR": "1", "npm_config_update_notifier": "false"}
    command = [str(tool("npm")), *arguments]
    ran = subprocess.run(command, cwd=package, env=environ, capture_output=True, text=True, timeout=SCRIPT_SECS)
    return ran.returncode, _ESCAPE.sub("", ran.stdout + ran.stderr)
