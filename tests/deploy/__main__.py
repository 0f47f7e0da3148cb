"""The command line of ``scripts/test-deploy``: runs stages one after the other, and prints a table."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn
from xml.etree import ElementTree

from tests.deploy.stages import STAGES, Stage
from tests.support.machine import absent_packages, install_packages, one_at_a_time

ROOT = Path(__file__).resolve().parents[2]
STAGE_SECS = 900.0  # a stage that takes longer hangs
END_SECS = 60.0  # for its clean-up after that


class Result(NamedTuple):
    stage: str
    outcome: str
    seconds: float
    note: str = ""


def main() -> int:
    chosen = _chosen()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    results: list[Result] = []
    try:
        results.extend(_run(stage) for stage in chosen)
    except KeyboardInterrupt:
        print("test-deploy: interrupted", file=sys.stderr)
        return 130
    finally:
        print(table(results), flush=True)
    return any(result.outcome == "failed" for result in results)


def table(results: list[Result]) -> str:
    """One line for each stage: result, seconds, and a note."""
    rows = [("stage", "result", "seconds", ""), *((r.stage, r.outcome, f"{r.seconds:.0f}", r.note) for r in results)]
    return "\n".join(f"{name:<12}{outcome:<9}{seconds:>7}  {note}".rstrip() for name, outcome, seconds, note in rows)


def _chosen() -> list[Stage]:
    parser = argparse.ArgumentParser(prog="scripts/test-deploy", description="Test the files of deploy/, in stages.")
    names = [stage.name for stage in STAGES]
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"only these of {', '.join(names)}")
    wanted = parser.parse_args().stages
    if unknown := set(wanted) - set(names):
        parser.error(f"no such stage: {', '.join(sorted(unknown))} (there are {', '.join(names)})")
    return [stage for stage in STAGES if (stage.name in wanted if wanted else _by_default(stage))]


def _by_default(stage: Stage) -> bool:
    return not stage.opt_in or os.environ.get(stage.opt_in) == "1"


def _run(stage: Stage) -> Result:
    print(f"test-deploy: {stage.name}", file=sys.stderr, flush=True)
    began = time.monotonic()
    if reason := _unavailable(stage):
        in_ci = os.environ.get("CI", "").lower() == "true"
        return Result(stage.name, "failed" if in_ci else "skipped", time.monotonic() - began, reason)
    with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
        report = Path(folder) / "report.xml"
        passed = _pytest(stage, report)
        return Result(stage.name, "passed" if passed else "failed", time.monotonic() - began, _counts(report))


def _unavailable(stage: Stage) -> str:
    """Why the stage cannot run on this machine; ``""`` after its packages were installed."""
    if stage.as_root and os.geteuid() != 0:
        return "it needs root"
    with one_at_a_time("apt-get"):
        absent = absent_packages(stage.packages)
        return install_packages(*absent) if absent else ""


def _pytest(stage: Stage, report: Path) -> bool:
    """Whether all tests of the stage passed. The child cleans up at SIGINT, so it is always waited for."""
    options = ("-q", "-rs", "-n", str(stage.workers), "--durations=5", f"--junitxml={report}")
    command = [sys.executable, "-m", "pytest", *options, str(stage.file.relative_to(ROOT))]
    # A session of its own: a Ctrl-C reaches it only from here, once.
    child = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        return child.wait(STAGE_SECS) == 0
    except subprocess.TimeoutExpired:
        print(f"test-deploy: {stage.name} took longer than {STAGE_SECS:g} s", file=sys.stderr)
        return False
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(END_SECS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _counts(report: Path) -> str:
    if not report.exists():
        return "no report"
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in ElementTree.parse(report).iter("testsuite"):
        for key in counts:
            counts[key] += int(suite.get(key, 0))
    bad = counts["failures"] + counts["errors"]
    return f"{counts['tests'] - bad - counts['skipped']} passed, {bad} failed, {counts['skipped']} skipped"


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
