"""The table of checks, and their bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from proxy.commands.live.finding import Finding, failed, ok, summary, warning
from proxy.commands.live.run import gathered
from proxy.errors import ConfigError
from tests.commands.live.rig import findings

SECRET = "sk-aVeryWellKeptSecret"


async def passes() -> Sequence[Finding]:
    return [ok("a", "fine")]


async def hangs() -> Sequence[Finding]:
    await asyncio.Event().wait()
    return []


async def is_misconfigured() -> Sequence[Finding]:
    raise ConfigError(["c: wrong", "c: and more"])


async def breaks() -> Sequence[Finding]:
    raise RuntimeError(SECRET)


async def test_findings_keep_the_order_of_the_table_and_one_check_hides_no_other() -> None:
    checks = [("b", hangs), ("a", passes), ("c", is_misconfigured), ("d", breaks)]
    assert await gathered(checks, limit=0.05) == [
        failed("b", "no answer within 0.05 s"),
        ok("a", "fine"),
        failed("c", "wrong; and more"),
        failed("d", "the check itself failed: RuntimeError"),
    ]


def test_a_finding_is_one_aligned_line_whatever_a_server_says() -> None:
    assert str(ok("redis", "fine")) == "ok       redis: fine"
    assert str(failed("redis", "a\nb\x1b[2J")) == "FAILED   redis: a b [2J"


def test_the_summary_counts_each_level() -> None:
    assert summary([ok("a", ""), warning("b", ""), failed("c", ""), failed("d", "")]) == "1 ok, 1 warning, 2 failed"
    assert summary([ok("a", "")]) == "1 ok"


async def test_parts_that_the_configuration_does_not_use_are_left_out(tmp_path: Path) -> None:
    assert list(await findings("", tmp_path)) == ["python", "open files", "dataDir", "server"]
