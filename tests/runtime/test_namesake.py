"""PyPI's proxy.py, whose package has the same name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import proxy
from proxy.runtime.namesake import installed_beside, shadowed_by
from tests.support.gateway import ROOT, GatewayProcess, one_provider
from tests.support.upstream import Upstream

ENTRY = "import sys; from proxy.entry import main; sys.argv[1:] = ['--help']; sys.exit(main())"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages with the metadata of proxy.py."""
    info = tmp_path / "proxy.py-2.4.10.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: proxy.py\nVersion: 2.4.10\n")
    return tmp_path


def test_here_the_package_is_sluices_and_alone() -> None:
    assert shadowed_by(proxy) == ""
    assert installed_beside([]) == ""


def test_an_installed_namesake_is_reported_with_its_version_and_a_remedy(site: Path) -> None:
    told = installed_beside([str(site)])
    assert "proxy.py 2.4.10" in told
    assert "pip uninstall proxy.py" in told


async def test_the_gateway_warns_at_its_start_of_an_installed_namesake(site: Path) -> None:
    environ = {"PYTHONPATH": f"{ROOT}:{site}"}
    async with Upstream() as up, GatewayProcess(one_provider(up), environ=environ) as process:
        assert any("proxy.py 2.4.10 is installed beside Sluice" in line for line in process.lines)


def test_the_command_explains_that_the_namesake_replaced_the_package(tmp_path: Path) -> None:
    package = tmp_path / "proxy"
    shutil.copytree(ROOT / "proxy", package, ignore=shutil.ignore_patterns("__pycache__", "docs_assets"))
    (package / "__init__.py").write_text('"""proxy.py"""\ndef entry_point() -> None: ...\n')
    (package / "__main__.py").write_text("from proxy import entry_point\n")
    run = subprocess.run([sys.executable, "-c", ENTRY], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert run.stderr.startswith(f'sluice: The package "proxy" in {package}/__init__.py is not that of Sluice')


def test_the_console_script_runs_the_command_line() -> None:
    run = subprocess.run([sys.executable, "-c", ENTRY], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert "sluice serve" in run.stdout
