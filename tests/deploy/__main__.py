"""The command line of ``scripts/test-deploy``: runs stages, two at a time, and prints a table."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import IO, NamedTuple, NoReturn
from xml.etree import ElementTree

from tests.deploy.children import Children
from tests.deploy.stages import STAGES, Stage
from tests.support.machine import absent_packages, install_packages, one_at_a_time

ROOT = Path(__file__).resolve().parents[2]
LANES = 2  # stages at a time: most of them wait for processes, timeouts and downloads


class Result(NamedTuple):
    stage: str
    outcome: str
    seconds: float
    note: str = ""


def main() -> int:
    chosen = _chosen()
    # A shell lets what it runs in the background ignore SIGINT, and the children would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    results: list[Result] = []
    try:
        _run_all(chosen, results)
    except KeyboardInterrupt:
        print("test-deploy: interrupted", file=sys.stderr)
        return 130
    finally:
        order = [stage.name for stage in STAGES]
        print(table(sorted(results, key=lambda result: order.index(result.stage))), flush=True)
    return any(result.outcome == "failed" for result in results)


def _run_all(chosen: list[Stage], results: list[Result]) -> None:
    """Add the result of each stage as it ends. An interrupt waits until all have cleaned up."""
    children, printing = Children(ROOT), Lock() if len(chosen) > 1 else None
    with ThreadPoolExecutor(LANES) as lanes:
        try:
            running = [lanes.submit(_run, stage, children, printing) for stage in chosen]
            results.extend(each.result() for each in as_completed(running))
        except BaseException:
            lanes.shutdown(wait=False, cancel_futures=True)
            children.interrupt()
            raise


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


def _run(stage: Stage, children: Children, printing: Lock | None = None) -> Result:
    """Run one stage. ``printing``: hold back its output until it ends, then print it whole."""
    began = time.monotonic()
    print(f"test-deploy: {stage.name}", file=sys.stderr, flush=True)
    if reason := _unavailable(stage):
        in_ci = os.environ.get("CI", "").lower() == "true"
        return Result(stage.name, "failed" if in_ci else "skipped", time.monotonic() - began, reason)
    with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
        report = Path(folder) / "report.xml"
        if printing is None:
            status = children.run(_pytest(stage, report), stage.most_secs, None)
        else:
            with (Path(folder) / "output.txt").open("w+b") as output:
                try:
                    status = children.run(_pytest(stage, report), stage.most_secs, output)
                finally:
                    output.seek(0)
                    with printing:
                        _print_whole(stage, output)
        note = f"longer than {stage.most_secs:g} s" if status is None else _counts(report)
        return Result(stage.name, "passed" if status == 0 else "failed", time.monotonic() - began, note)


def _print_whole(stage: Stage, output: IO[bytes]) -> None:
    print(f"test-deploy: output of {stage.name}", flush=True)
    shutil.copyfileobj(output, sys.stdout.buffer)
    sys.stdout.flush()


def _unavailable(stage: Stage) -> str:
    """Why the stage cannot run on this machine; ``""`` after its packages were installed."""
    if stage.as_root and os.geteuid() != 0:
        return "it needs root"
    with one_at_a_time("apt-get"):
        absent = absent_packages(stage.packages)
        return install_packages(*absent) if absent else ""


def _pytest(stage: Stage, report: Path) -> list[str]:
    options = ("-q", "-rs", "-n", str(stage.workers), "--durations=5", f"--junitxml={report}")
    return [sys.executable, "-m", "pytest", *options, str(stage.file.relative_to(ROOT))]


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
