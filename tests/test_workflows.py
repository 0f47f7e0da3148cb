"""The workflows of GitHub: what they run exists here, actions are pinned, and each job has the least permissions."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ["ci", "image", "main", "release", "staging"]

# What a job may do beyond reading the repository.
WRITES = {
    "image/image": {"packages", "id-token", "attestations"},
    "main/image": {"packages", "id-token", "attestations"},
    "release/image": {"packages", "id-token", "attestations"},
    "release/attest": {"id-token", "attestations"},
    "release/publish": {"contents"},
}


def workflow(name: str) -> dict[str, Any]:
    # BaseLoader: else `on` is a boolean, and 3.10 a number.
    found: dict[str, Any] = yaml.load((FOLDER / f"{name}.yml").read_text(), yaml.BaseLoader)
    return found


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in NAMES:
        for job, content in workflow(name)["jobs"].items():
            yield f"{name}/{job}", content


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for job, content in jobs():
        for step in content.get("steps", ()):
            yield job, step


def test_there_are_no_others() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{name}.yml" for name in NAMES]


def test_every_action_is_pinned_to_a_commit_with_its_version() -> None:
    pins: dict[str, set[str]] = {}
    for name in NAMES:
        for line in (FOLDER / f"{name}.yml").read_text().splitlines():
            if found := re.match(r" *(?:- )?uses: (.+)$", line):
                if found[1].startswith("./"):
                    assert (ROOT / found[1]).is_file()
                    continue
                pinned = re.fullmatch(r"([\w-]+/[\w-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", found[1])
                assert pinned, line
                pins.setdefault(pinned[1], set()).add(pinned[2])
    assert {action: len(versions) for action, versions in pins.items()} == dict.fromkeys(pins, 1)
    assert all(action.startswith("actions/") for action in pins)


def test_a_job_may_only_do_what_it_has_to() -> None:
    for name in NAMES:
        assert workflow(name)["permissions"] == {}
    for job, content in jobs():
        granted = content["permissions"]
        assert {name for name, access in granted.items() if access == "write"} == WRITES.get(job, set())
        assert granted, job


def test_a_called_workflow_gets_the_permissions_that_it_asks_for() -> None:
    for job, content in jobs():
        if called := content.get("uses"):
            for inner in workflow(Path(called).stem)["jobs"].values():
                assert inner["permissions"].items() <= content["permissions"].items(), job


def test_no_token_stays_in_a_checkout_and_no_secret_is_passed_on() -> None:
    for job, step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false", job
    for job, content in jobs():
        assert "secrets" not in content, job
    for name in NAMES:
        assert "pull_request_target" not in workflow(name)["on"]
        if name != "staging":
            assert "secrets." not in (FOLDER / f"{name}.yml").read_text()


def test_commands_have_no_expressions_and_jobs_have_a_time_limit() -> None:
    """An expression becomes part of the script: what others wrote could be run. The environment is safe."""
    for job, step in steps():
        assert "${{" not in step.get("run", ""), job
    for job, content in jobs():
        assert "uses" in content or 0 < int(content["timeout-minutes"]) <= 60, job


def test_every_script_that_is_run_is_here() -> None:
    found = {script for _, step in steps() for script in re.findall(r"\bscripts/[\w-]+", step.get("run", ""))}
    assert found == {"scripts/check", "scripts/test", "scripts/test-deploy", "scripts/release"}
    assert all(os.access(ROOT / script, os.X_OK) for script in found)


def test_a_job_runs_the_same_scripts_as_the_ci_of_this_repository() -> None:
    here = set(re.findall(r"\./(scripts/[\w-]+)", (ROOT / ".ci" / "run").read_text()))
    there = {step["run"] for job in workflow("ci")["jobs"].values() for step in job["steps"] if "run" in step}
    assert here <= there


def test_jobs_that_are_needed_and_outputs_that_are_used_exist() -> None:
    for name in NAMES:
        known = workflow(name)["jobs"]
        for content in known.values():
            needs = content.get("needs", [])
            assert set([needs] if isinstance(needs, str) else needs) <= set(known)
    for job, content in jobs():
        written: dict[str, str] = {}  # steps before, with the outputs that they write
        for step in content.get("steps", ()):
            for identity, output in re.findall(r"steps\.([\w-]+)\.outputs\.([\w-]+)", str(step)):
                assert f'echo "{output}=' in written[identity], (job, identity, output)
            if "id" in step:
                written[step["id"]] = step.get("run", "")


def test_the_tests_run_on_every_python_that_the_package_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = workflow("ci")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f">={versions[0]}" == project["requires-python"]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert workflow("ci")["jobs"]["check"]["steps"][1]["with"]["python-version"] == versions[0]


def test_the_tests_have_the_services_that_they_need() -> None:
    job = workflow("ci")["jobs"]["test"]
    hosts = {re.sub(r".*[/@]([a-z]+):\d+.*", r"\1", url) for name, url in job["env"].items() if name.endswith("_URL")}
    assert hosts == set(job["services"]) == {"redis", "postgres", "rabbitmq"}
    source = (ROOT / "tests" / "support" / "services.py").read_text()
    assert all(f'"{name}"' in source for name in job["env"] if name.startswith("SLUICE_TEST_"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_published_comes_from_a_commit_that_was_tested(name: str) -> None:
    known = workflow(name)["jobs"]

    def before(job: str) -> set[str]:
        needs = known[job].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*map(before, direct)) if direct else direct

    if name in ("main", "release"):
        for job, content in known.items():
            if "write" in content["permissions"].values():
                assert "ci" in before(job), job
    elif name == "image":
        assert list(workflow(name)["on"]) == ["workflow_call"]
    else:
        assert not any("write" in content["permissions"].values() for content in known.values())


def test_staging_is_started_by_hand_and_explains_every_value() -> None:
    text = (FOLDER / "staging.yml").read_text()
    assert list(workflow("staging")["on"]) == ["workflow_dispatch"]
    assert workflow("staging")["jobs"]["deploy"]["environment"] == "staging"
    head = text[: text.index("\nname:")]
    assert head.startswith("# TEMPLATE: ")
    used = set(re.findall(r"(?:vars|secrets)\.(\w+)", text))
    assert used == set(re.findall(r"\bSTAGING_\w+", head))
