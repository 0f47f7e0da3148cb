"""Runs all checks at once, each within a time limit. Their findings are in the order of the table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import uvloop

from proxy.commands.live import endpoints, listeners, machine, providers, storage
from proxy.commands.live.finding import Finding, Live, failed, summary
from proxy.config.schema import Config
from proxy.errors import ConfigError
from proxy.runtime.loop import Loop

LIMIT_SECS = 10.0  # for each check
MOST = 16  # checks at once

# A name for a check that does not end in time or fails unexpectedly, and the check.
Check = tuple[str, Callable[[], Awaitable[Sequence[Finding]]]]


def run(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    return uvloop.run(findings_of(Live(config, environ)), loop_factory=Loop)


def show(findings: Sequence[Finding], out: Callable[[str], None]) -> None:
    """A line for each part, and a summary."""
    out("live:")
    for finding in findings:
        out(f"  {finding}")
    out(f"  {summary(findings)}")


def works(findings: Sequence[Finding]) -> bool:
    """Whether none failed."""
    return all(finding.level != "FAILED" for finding in findings)


async def findings_of(live: Live) -> list[Finding]:
    return await gathered(list(_checks(live)))


def _checks(live: Live) -> Iterator[Check]:
    """The table, in the order of the output."""
    for part in (machine, listeners, storage, providers, endpoints):
        yield from part.checks(live)


async def gathered(checks: Sequence[Check], limit: float = LIMIT_SECS) -> list[Finding]:
    """The findings of all checks, in their order."""
    semaphore = asyncio.Semaphore(MOST)

    async def one(check: Check) -> Sequence[Finding]:
        async with semaphore:
            return await _bounded(check, limit)

    return [finding for found in await asyncio.gather(*map(one, checks)) for finding in found]


async def _bounded(check: Check, limit: float) -> Sequence[Finding]:
    name, begin = check
    try:
        async with asyncio.timeout(limit):
            return await begin()
    except TimeoutError:
        return [failed(name, f"no answer within {limit:g} s")]
    except ConfigError as error:
        return [failed(name, "; ".join(each.removeprefix(f"{name}: ") for each in error.mistakes))]
    except Exception as error:  # one check must not hide the others; the text may contain a secret
        return [failed(name, f"the check itself failed: {type(error).__name__}")]
