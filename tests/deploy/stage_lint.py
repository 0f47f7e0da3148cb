"""The files that an operator takes over, read by the linters of their formats."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.tools import tool
from tests.support.machine import debian_program

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash", "#!/usr/bin/env sh")

DOCKERFILES = sorted(ROOT.glob("deploy/**/*Dockerfile*"))
COMPOSE = sorted(ROOT.glob("deploy/compose*.yaml"))
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.y*ml"))
DEPENDABOT = ROOT / ".github" / "dependabot.yml"
ZIZMOR = ROOT / ".github" / "zizmor.yml"

# A mistake of each format, which its linter has to find: else it reads nothing.
BROKEN_COMPOSE = "services:\n  gateway:\n    image: sluice\n    restrat: always\n"
BROKEN_WORKFLOW = "on: push\njobs:\n  test:\n    runs_on: ubuntu-latest\n    steps: []\n"
INSECURE_WORKFLOW = (
    "on: push\njobs: {test: {runs-on: ubuntu-latest, steps: [{run: 'echo ${{ github.event.head_commit.message }}'}]}}\n"
)
BROKEN_DOCKERFILE = "FROM python:latest\nRUN cd /tmp && sudo apt-get install gcc\n"
BROKEN_SCRIPT = '#!/bin/sh\nrm -r "$1"/*.tmp $2\n'


def scripts() -> list[Path]:
    """Every shell script of the repository, by its first line."""
    files = [path for pattern in ("scripts/*", ".ci/*", "deploy/**/*") for path in ROOT.glob(pattern) if path.is_file()]
    return [path for path in sorted(files) if path.read_bytes()[:40].decode("latin-1").startswith(SHELLS)]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lint(*command: Path | str) -> tuple[int, str]:
    """Exit status and output."""
    ran = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    return ran.returncode, ran.stdout + ran.stderr


def shellcheck(*files: Path) -> tuple[int, str]:
    return lint(debian_program("shellcheck", "shellcheck"), "--external-sources", "--source-path=SCRIPTDIR", *files)


def hadolint(file: Path) -> tuple[int, str]:
    return lint(tool("hadolint"), file)


def schema(name: str, *files: Path) -> tuple[int, str]:
    """Against a schema that check-jsonschema has with it, so nothing is fetched."""
    return lint(tool("check-jsonschema"), "--builtin-schema", name, *files)


def zizmor(*files: Path) -> tuple[int, str]:
    """Security of workflows: permissions, injection, pins, credentials. Offline, so nothing is fetched."""
    return lint(tool("zizmor"), "--offline", "--no-progress", "--quiet", "--color=never", f"--config={ZIZMOR}", *files)


def commands(workflow: Path) -> list[str]:
    """The shell scripts in a workflow."""
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step["run"] for job in jobs for step in job.get("steps", ()) if "run" in step]


def test_the_files_of_every_format_are_there() -> None:
    assert relative(DOCKERFILES[0]) == "deploy/Dockerfile"
    assert {"deploy/compose.yaml", "deploy/compose.prod.yaml"} <= {relative(path) for path in COMPOSE}
    assert WORKFLOWS


def test_shell_scripts_pass_shellcheck() -> None:
    found = scripts()
    assert {"scripts/setup", "scripts/test-deploy", ".ci/run"} <= {relative(path) for path in found}
    assert shellcheck(*found) == (0, "")


@pytest.mark.parametrize("file", DOCKERFILES, ids=relative)
def test_a_dockerfile_passes_hadolint(file: Path) -> None:
    assert hadolint(file) == (0, "")


@pytest.mark.parametrize("file", COMPOSE, ids=relative)
def test_a_compose_file_follows_the_compose_specification(file: Path) -> None:
    status, output = schema("vendor.compose-spec", file)
    assert status == 0, output


@pytest.mark.parametrize("file", WORKFLOWS, ids=relative)
def test_a_workflow_follows_the_schema_of_github(file: Path) -> None:
    status, output = schema("vendor.github-workflows", file)
    assert status == 0, output


def test_the_updates_of_actions_follow_the_schema_of_github() -> None:
    status, output = schema("vendor.dependabot", DEPENDABOT)
    assert status == 0, output


def test_workflows_pass_zizmor() -> None:
    assert WORKFLOWS
    status, output = zizmor(*WORKFLOWS, DEPENDABOT)
    assert status == 0, output


@pytest.mark.parametrize("file", WORKFLOWS, ids=relative)
def test_the_commands_of_a_workflow_pass_shellcheck(file: Path, tmp_path: Path) -> None:
    scripts = []
    for number, text in enumerate(commands(file)):
        scripts.append(tmp_path / f"{file.stem}-{number}.sh")
        scripts[-1].write_text(f"#!/bin/bash\nset -eo pipefail\n{text}")
    assert not scripts or shellcheck(*scripts) == (0, "")


def test_each_linter_finds_a_mistake(tmp_path: Path) -> None:
    compose, workflow = tmp_path / "compose.yaml", tmp_path / "workflow.yaml"
    dockerfile, script = tmp_path / "Dockerfile", tmp_path / "script.sh"
    compose.write_text(BROKEN_COMPOSE)
    workflow.write_text(BROKEN_WORKFLOW)
    dockerfile.write_text(BROKEN_DOCKERFILE)
    script.write_text(BROKEN_SCRIPT)
    assert "restrat" in schema("vendor.compose-spec", compose)[1]
    assert "runs-on" in schema("vendor.github-workflows", workflow)[1]
    workflow.write_text(INSECURE_WORKFLOW)
    assert "template-injection" in zizmor(workflow)[1]
    assert "DL3004" in hadolint(dockerfile)[1]
    assert "SC2086" in shellcheck(script)[1]
