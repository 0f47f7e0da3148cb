"""The n8n package of ``deploy/n8n``: linter, formatter, build, and its own tests against what was built."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.n8n.package import SOURCE, copy_package, run_script

NOT_TITLE_CASE = "displayName = 'Sluice API'"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_package(tmp_path_factory.mktemp("package"))


def test_the_package_passes_n8ns_linter(package: Path) -> None:
    status, output = run_script(package, "lint")
    assert status == 0, output
    assert "problem" not in output  # warnings


def test_the_linter_finds_a_mistake(package: Path) -> None:
    file = package / "credentials" / "SluiceApi.credentials.ts"
    text = file.read_text()
    assert NOT_TITLE_CASE in text
    try:
        file.write_text(text.replace(NOT_TITLE_CASE, "displayName = 'Sluice key'"))
        status, output = run_script(package, "lint")
    finally:
        file.write_text(text)
    assert status == 1
    assert "cred-class-field-display-name-missing-api" in output


def test_the_package_is_formatted(package: Path) -> None:
    status, output = run_script(package, "format")
    assert status == 0, output


def test_the_package_builds_and_passes_its_own_tests(package: Path) -> None:
    status, output = run_script(package, "build")
    assert status == 0, output
    declared = json.loads((package / "package.json").read_text())["n8n"]
    for file in (*declared["nodes"], *declared["credentials"], "dist/icons/sluice.svg", "dist/icons/sluice.dark.svg"):
        assert (package / file).is_file(), file
    status, output = run_script(package, "test")
    assert status == 0, output
    counts = dict(re.findall(r"^\S+ (pass|fail|skipped) (\d+)$", output, re.MULTILINE))
    assert int(counts["pass"]) > 0, output
    assert (counts["fail"], counts["skipped"]) == ("0", "0")


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (SOURCE / "package-lock.json").read_text()
