"""Troubles of what the gateway depends on: providers as a whole, Redis, the database, and probes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from proxy.config.known_providers import NONE_USABLE
from proxy.control.attention.trouble import Severity, Trouble
from proxy.control.health.components import ComponentHealth
from proxy.control.health.views import ProbeView
from proxy.control.live import LiveConfig

# Deployments, the ledger, receivers and services have entries of their own.
_ELSEWHERE: Final = ("models", "recorder", "events", "services")
_LIMITER: Final[Mapping[str, tuple[Severity, str]]] = {
    "local": ("warning", "does not respond: each process limits on its own"),
    "open": ("warning", "does not respond: no request is limited"),
    "closed": ("error", "does not respond: every request is refused"),
}
_LEDGER: Final[Mapping[str, tuple[Severity, str]]] = {
    "refuse": ("error", "its spool is full: every request is refused"),
    "forget": ("error", "its spool is full: what requests use is not recorded"),
}
_OTHERS: Final[Mapping[str, tuple[Severity, str, str]]] = {
    "breakers": ("warning", "Redis, circuit breakers", "does not respond: replicas do not share their states"),
    "database": ("error", "Database", "does not respond: API keys that are not known here cannot be checked"),
}


class ComponentTroubles:
    """``components`` and ``probes`` are those of the health checks; ``probes`` takes the name of a provider."""

    def __init__(
        self,
        live: LiveConfig,
        components: Callable[[], Mapping[str, ComponentHealth]],
        probes: Callable[[str], Sequence[ProbeView]],
    ) -> None:
        self._live = live
        self._components = components
        self._probes = probes

    async def find(self) -> list[Trouble]:
        return [*self._of_components(), *self._of_probes()]

    def _of_components(self) -> Iterator[Trouble]:
        if not self._live.catalog.providers:
            yield Trouble("critical", "component", "Providers", NONE_USABLE)
            return
        for name, health in self._components().items():
            if health.up or name in _ELSEWHERE:
                continue
            severity, what, why = self._known(name, health)
            severity = "warning" if health.partly and severity == "error" else severity
            yield Trouble(severity, "component", what, health.why or why, since=round(health.since, 3))

    def _known(self, name: str, health: ComponentHealth) -> tuple[Severity, str, str]:
        if health.vital:
            return "critical", name.capitalize(), "no deployment is in service, so every request fails"
        if name == "limiter":
            severity, why = _LIMITER[self._live.config.rate_limiting.on_store_failure]
            return severity, "Redis, rate limits", why
        if name == "ledger":
            severity, why = _LEDGER[self._live.config.ledger.on_full]
            return severity, "Ledger", why
        if name in _OTHERS:
            return _OTHERS[name]
        return "error", name.capitalize(), f"is {health.status}"

    def _of_probes(self) -> Iterator[Trouble]:
        for name in self._live.catalog.providers:
            failed = [probe for probe in self._probes(name) if probe.status == "down"]
            if failed:
                why = f"the last probe failed: {failed[0].why}"
                yield Trouble("warning", "probe", name, why, since=failed[0].at, count=len(failed), provider=name)
