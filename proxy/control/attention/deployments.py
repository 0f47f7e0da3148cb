"""Troubles of deployments and of their providers' keys."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from proxy.control.attention.trouble import Severity, Trouble
from proxy.control.clock import WallClock
from proxy.control.deployments.blocked import is_missing
from proxy.control.deployments.index import DeploymentIndex, IndexedDeployment
from proxy.control.deployments.samples import SamplesByDeployment
from proxy.providers.credential_source import CredentialSource
from proxy.providers.provider import Provider
from proxy.routing.listing import available

PORTION: Final = 500  # deployments that are examined before other tasks run: about a millisecond
GROUPED: Final = 4  # that many deployments of a provider with the same trouble are one entry
ERROR_SHARE: Final = 0.1  # of the attempts within the statistics window
ERRORS: Final = 5  # and at least as many
UNSERVED: Final = "no other deployment serves the model"


class DeploymentTroubles:
    """``samples`` are the recorder's. ``credential_failure`` returns why an issued credential cannot be fetched."""

    def __init__(
        self,
        index: DeploymentIndex,
        samples: SamplesByDeployment,
        clock: WallClock,
        credential_failure: Callable[[CredentialSource], str],
    ) -> None:
        self._index = index
        self._samples = samples
        self._clock = clock
        self._credential_failure = credential_failure

    async def find(self) -> list[Trouble]:
        """Other tasks run in between."""
        served: set[str] = set()  # names of models
        own: dict[str, list[IndexedDeployment]] = defaultdict(list)  # by provider
        found: list[tuple[IndexedDeployment, Trouble]] = []
        for number, each in enumerate(list(self._index), 1):
            if each.deployment is None or available(each.deployment):
                own[each.provider.name].append(each)
                found += [(each, trouble) for trouble in self._of(each)]
                if self._serves(each):
                    served.add(each.name)
            if not number % PORTION:
                await asyncio.sleep(0)
        troubles = [*_grouped([_judged(each, trouble, served) for each, trouble in found])]
        for provider in self._index.catalog.providers.values():
            deployments = own[provider.name]
            unserved = any(each.name not in served for each in deployments)
            troubles += self._of_keys(provider, len(deployments), unserved)
        return troubles

    def _serves(self, each: IndexedDeployment) -> bool:
        now, breaker = self._clock.now(), each.live.breaker
        if breaker.state in ("open", "half_open") or each.provider.keys.free_at() > now:
            return False
        return each.deployment is None or not is_missing(each.deployment, now)

    def _of(self, each: IndexedDeployment) -> Iterator[Trouble]:
        """Troubles of one deployment, as if another served its model. Keys are a trouble of the provider."""
        now, clock, breaker = self._clock.now(), self._clock, each.live.breaker
        samples = self._samples.get(each.live.key)
        failure = samples.last_failure if samples is not None else None
        trouble = Trouble(
            "warning",
            "out",
            each.id,
            "",
            since=clock.unix(breaker.since) if breaker.since else None,
            until=clock.unix_future(breaker.retry_at),
            provider=each.provider.name,
            deployment=each.id,
            request_id=failure.request_id if failure is not None else "",
        )
        if breaker.forced_open:
            yield replace(trouble, why="taken out of service by an operator", request_id="")
        elif breaker.state == "half_open":
            yield replace(trouble, kind="probing", why="probed by one request at a time", failure=breaker.reason)
        elif breaker.state == "open":
            yield replace(trouble, why="circuit breaker open", failure=breaker.reason)
        elif missing := [at for at in sorted(breaker.missing_at) if breaker.state_at(at, now) == "unavailable"]:
            why = f"the provider has no such model at {', '.join(missing)}"
            if each.deployment is None or is_missing(each.deployment, now):
                yield replace(trouble, why=why)
            else:  # perhaps a client's mistake
                yield replace(trouble, severity="notice", kind="missing", why=why)
        if (until := each.live.quota.cooldown_until) > now:
            why = "the provider's rate limit is used up"
            yield replace(trouble, kind="cooldown", why=why, since=None, until=clock.unix(until))
        ended, failed = each.live.statistics.counts(now)
        if breaker.state == "closed" and failed >= ERRORS and failed >= ended * ERROR_SHARE:
            why = f"{_percent(failed, ended)} of {ended} attempts failed"
            code = failure.kind if failure is not None else ""
            yield replace(trouble, kind="errors", why=why, failure=code, since=None, until=None)

    def _of_keys(self, provider: Provider, count: int, unserved: bool) -> Iterator[Trouble]:
        """``count``: the provider's deployments. ``unserved``: nothing else serves the model of one of them."""
        now, keys, name = self._clock.now(), provider.keys, provider.name
        severity: Severity = "error" if unserved else "warning"
        if keys.source is not None and (why := self._credential_failure(keys.source)):
            why = f"its credential cannot be fetched: {why}"
            yield Trouble(severity, "credential", name, why, count=count, provider=name)
        cooling = keys.cooling(now)
        if cooling == len(keys):
            why = f"{'its key' if cooling == 1 else 'every key'} is {'rate-limited' if keys.limited else 'refused'}"
            until = self._clock.unix_future(keys.free_at())
            yield Trouble(severity, "keys", name, why, until=until, count=count, provider=name)
        elif cooling:
            why = f"{cooling} of {len(keys)} keys refused or rate-limited"
            yield Trouble("warning", "keys", name, why, count=count, provider=name)


def _judged(each: IndexedDeployment, trouble: Trouble, served: set[str]) -> Trouble:
    """An error if nothing else serves the model. A probe, a cooldown or some errors are no outage."""
    if trouble.kind == "out" and trouble.severity == "warning" and each.name not in served:
        return replace(trouble, severity="error", why=f"{trouble.why}; {UNSERVED}")
    return trouble


def _grouped(troubles: Sequence[Trouble]) -> Iterator[Trouble]:
    groups: dict[tuple[str, ...], list[Trouble]] = defaultdict(list)
    for each in troubles:
        groups[each.severity, each.kind, each.provider, each.why, each.failure].append(each)
    for group in groups.values():
        if len(group) < GROUPED:
            yield from group
            continue
        began = [each.since for each in group if each.since is not None]
        ends = [each.until for each in group if each.until is not None]
        first = group[0]
        yield replace(
            first,
            what=f"{len(group)} deployments of {first.provider}",
            since=min(began, default=None),
            until=max(ends, default=None) if len(ends) == len(group) else None,
            count=len(group),
            deployment="",
        )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%"
