"""``scripts/test-deploy``: which stages there are, what happens where one cannot run, and that an interrupt cleans up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import __main__ as runner
from tests.deploy.children import Children
from tests.deploy.stages import STAGES, Stage
from tests.deploy.tools import cache_folder

UNKNOWN = Stage("unknown", ("no-such-package-of-debian",))


def test_every_stage_has_a_file_and_every_file_a_stage() -> None:
    files = {path.name for path in Path(__file__).parent.glob("stage_*.py")}
    assert files == {stage.file.name for stage in STAGES}


def test_an_unknown_stage_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["test-deploy", "lint", "lintt"])
    with pytest.raises(SystemExit):
        runner.main()
    assert "no such stage: lintt" in capsys.readouterr().err


def test_a_stage_can_be_opt_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(*stages: str) -> set[str]:
        monkeypatch.setattr(sys, "argv", ["test-deploy", *stages])
        return {stage.name for stage in runner._chosen()}

    for variable in ("SLUICE_CLI_TESTS", "SLUICE_TEST_N8N"):
        monkeypatch.delenv(variable, raising=False)
    assert not chosen() & {"clients", "workflows"}
    assert chosen("clients") == {"clients"}
    monkeypatch.setenv("SLUICE_CLI_TESTS", "1")
    assert chosen() == {stage.name for stage in STAGES} - {"workflows"}
    monkeypatch.setenv("SLUICE_TEST_N8N", "1")
    assert chosen() == {stage.name for stage in STAGES}


@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("true", "failed")])
def test_a_stage_that_cannot_run_is_skipped_and_fails_in_ci(
    ci: str, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    children = Children(runner.ROOT)
    result = runner._run(UNKNOWN, children)
    assert result.outcome == outcome
    assert "no-such-package-of-debian" in result.note
    assert runner._run(Stage("lint", as_root=True), children).note == "it needs root"


def test_the_table_has_a_line_for_each_stage() -> None:
    results = [runner.Result("lint", "passed", 2.4, "5 passed"), runner.Result("image", "failed", 100, "")]
    assert runner.table(results).splitlines() == [
        "stage       result   seconds",
        "lint        passed         2  5 passed",
        "image       failed       100",
    ]


def test_running_stages_are_interrupted_and_clean_up(tmp_path: Path) -> None:
    """The runner waits for the teardown of fixtures, where containers are removed. A third stage does not begin."""
    names = ("one", "two", "three")
    for name, other in zip(names, ("two", "one", ""), strict=True):
        (tmp_path / f"stage_{name}.py").write_text(
            "import os, pathlib, signal, time, pytest\n"
            f"folder = pathlib.Path({str(tmp_path)!r})\n"
            "@pytest.fixture\n"
            "def resource(request):\n"
            f"    (folder / 'begun-{name}').touch()\n"
            f"    yield\n    (folder / 'cleaned-{name}').touch()\n"
            "def test_waits(resource):\n"
            f"    while not (folder / 'begun-{other}').exists():\n"
            "        time.sleep(0.01)\n"
            f"    if {name == 'one'}:\n"
            "        os.kill(os.getppid(), signal.SIGTERM)\n"
            "    time.sleep(60)\n"
        )
    code = (
        "import sys, pathlib, tests.deploy.stages as stages, tests.deploy.__main__ as runner\n"
        f"stages.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
        f"runner.ROOT, runner.STAGES = stages.FOLDER, [stages.Stage(name) for name in {names}]\n"
        "sys.argv = ['test-deploy']\n"
        "sys.exit(runner.main())\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    environ = os.environ | {"PYTHONPATH": root}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environ, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 130, ran.stdout + ran.stderr
    found = {path.name for path in tmp_path.iterdir() if path.suffix == ""}
    assert found >= {"begun-one", "cleaned-one", "begun-two", "cleaned-two"}
    assert not found & {"begun-three", "cleaned-three"}


def test_the_output_of_stages_is_printed_one_after_the_other(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"stage_{name}.py").write_text(f"def test_fails():\n    assert not {name!r}\n")
    code = (
        "import sys, pathlib, tests.deploy.stages as stages, tests.deploy.__main__ as runner\n"
        f"stages.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
        "runner.ROOT, runner.STAGES = stages.FOLDER, [stages.Stage('one'), stages.Stage('two')]\n"
        "sys.argv = ['test-deploy']\n"
        "sys.exit(runner.main())\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    environ = os.environ | {"PYTHONPATH": root}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environ, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    first, second = ran.stdout.split("test-deploy: output of ")[1:]
    assert {first.split()[0], second.split()[0]} == {"one", "two"}
    for output in (first, second):
        name = output.split()[0]
        assert f"assert not '{name}'" in output
        assert "1 failed" in output


def test_the_cache_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_DEPLOY_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("SLUICE_DEPLOY_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sluice-deploy"
