"""What ``scripts/release`` refuses. That it builds is tested by the stage ``release`` of ``scripts/test-deploy``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.machine import missing

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n\n### Added\n\n- A thing.\n"
NAMES = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


class Checkout:
    """A repository with the files that are read before anything is built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("scripts", "proxy"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "scripts" / "release", folder / "scripts")
        self.write("proxy/__init__.py", '__version__ = "1.2.3"\n')
        self.write("CHANGELOG.md", CHANGELOG)
        self.git("init", "-q")
        self.commit()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def git(self, *arguments: str) -> None:
        config = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        subprocess.run(["git", *arguments], cwd=self.folder, env=os.environ | NAMES | config, check=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "a commit")

    def refused(self, *arguments: str) -> str:
        """What it says. ``false`` as the interpreter ends a run that passes all checks."""
        environ = os.environ | {"PYTHON": "false"}
        ran = subprocess.run(
            ["scripts/release", *arguments], cwd=self.folder, env=environ, capture_output=True, text=True, timeout=60
        )
        assert (ran.returncode, ran.stdout) == (1, "")
        return ran.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    if shutil.which("git") is None:
        missing("git is not installed")
    return Checkout(tmp_path)


PASSED = "release: false cannot make environments, or is older than Python 3.11."


def test_version_changelog_and_tag_agree(checkout: Checkout) -> None:
    assert checkout.refused("v1.2.3").startswith(PASSED)  # before the tag is made
    checkout.git("tag", "v1.2.3")
    assert checkout.refused("v1.2.3").startswith(PASSED)
    assert PASSED in checkout.refused("--environment", "new", "v1.2.3")


def test_without_a_tag_unreleased_entries_are_fine(checkout: Checkout) -> None:
    checkout.write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n")
    checkout.commit()
    said = checkout.refused()
    assert "no tag: this is no release" in said
    assert PASSED in said


@pytest.mark.parametrize(
    ("tag", "changelog", "sentence"),
    [
        ("v1.2.4", CHANGELOG, "the tag is v1.2.4, but __version__ in proxy/__init__.py is 1.2.3. The tag must be v1.2.3."),
        ("1.2.3", CHANGELOG, "The tag must be v1.2.3."),
        ("v1.2.3", "## [Unreleased]\n\n- A thing.\n", "the latest release in CHANGELOG.md is missing, not 1.2.3. Add a heading: ## [1.2.3] - 2"),
        ("v1.2.3", CHANGELOG.replace("1.2.3", "1.2.2"), "the latest release in CHANGELOG.md is 1.2.2, not 1.2.3."),
        ("v1.2.3", CHANGELOG.replace(" - 2026-01-02", ""), "the heading of 1.2.3 in CHANGELOG.md has no date."),
        ("v1.2.3", CHANGELOG.replace("[Unreleased]\n", "[Unreleased]\n\n- More.\n"), "CHANGELOG.md has entries under [Unreleased]. Move them below the heading of 1.2.3."),
        ("v1.2.3", CHANGELOG.split("###")[0], "CHANGELOG.md has no entries for 1.2.3."),
        ("", "# Changelog\n", "CHANGELOG.md has no entries for 1.2.3."),
    ],
)  # fmt: skip
def test_a_disagreement_is_refused_in_a_sentence(tag: str, changelog: str, sentence: str, checkout: Checkout) -> None:
    checkout.write("CHANGELOG.md", changelog)
    checkout.commit()
    said = checkout.refused(*filter(None, [tag]))
    assert sentence in said
    assert PASSED not in said


def test_a_tag_of_another_commit_is_refused(checkout: Checkout) -> None:
    checkout.git("tag", "v1.2.3")
    checkout.commit()
    assert "the tag v1.2.3 is another commit (" in checkout.refused("v1.2.3")


@pytest.mark.parametrize("name", ["proxy/__init__.py", "new.txt"])
def test_changes_that_are_not_committed_are_refused(name: str, checkout: Checkout) -> None:
    checkout.write(name, '__version__ = "1.2.3"  # changed\n')
    said = checkout.refused("v1.2.3")
    assert "the checkout has changes that are not committed. Commit or stash them:" in said
    assert name in said


def test_a_folder_that_is_no_checkout_is_refused(checkout: Checkout) -> None:
    shutil.rmtree(checkout.folder / ".git")
    assert "this folder is no git checkout with a commit." in checkout.refused()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--environment"], "--environment needs a folder."),
        (["--environment", "proxy"], "exists already. Name a folder that does not."),
        (["--publish"], "unknown option --publish."),
        (["v1.2.3", "v1.2.4"], "more than one tag: v1.2.3 v1.2.4"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: list[str], sentence: str, checkout: Checkout) -> None:
    assert sentence in checkout.refused(*arguments)
