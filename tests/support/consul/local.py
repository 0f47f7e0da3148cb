"""What an agent knows of its own services: their registration, TTL checks that it times, HTTP and TCP checks that it runs."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp

from tests.support.consul.catalog import SERF, CatalogState, Record
from tests.support.consul.kv import Refused
from tests.support.consul.store import Ticker

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LEAST_DEREGISTER = 60.0


def seconds(text: str | int) -> float:
    """A Go duration such as ``1m30s``, or nanoseconds."""
    if isinstance(text, int):
        return text * 1e-9
    found = re.findall(r"([0-9.]+)(ns|us|ms|s|m|h)", text)
    if "".join(number + unit for number, unit in found) != text:
        raise Refused(f'time: invalid duration "{text}"')
    return sum(float(number) * UNITS[unit] for number, unit in found)


def lowered(record: Any) -> Record:
    """Members by their names in lower case, as Consul's decoder ignores case."""
    return {key.lower().replace("_", ""): value for key, value in (record or {}).items()}


def service_record(wanted: Record) -> Record:
    """As the catalog keeps it, of a registration with names in lower case."""
    weights = lowered(wanted.get("weights"))
    name = wanted.get("name") or wanted["service"]
    return {
        "ID": wanted.get("id") or name,
        "Service": name,
        "Tags": wanted.get("tags") or [],
        "Address": wanted.get("address") or "",
        "Meta": wanted.get("meta") or {},
        "Port": wanted.get("port") or 0,
        "Weights": {"Passing": weights.get("passing", 1), "Warning": weights.get("warning", 1)},
        "EnableTagOverride": bool(wanted.get("enabletagoverride")),
    }


def check_record(node: str, ident: str, check: Record, output: str, service: Record | None) -> Record:
    return {
        "Node": node,
        "CheckID": ident,
        "Name": check.get("name") or ident,
        "Status": check.get("status") or "critical",
        "Notes": check.get("notes") or "",
        "Output": output,
        "ServiceID": service["ID"] if service else "",
        "ServiceName": service["Service"] if service else "",
        "ServiceTags": service["Tags"] if service else [],
        "Type": "ttl" if "ttl" in check else "http" if "http" in check else "tcp" if "tcp" in check else "",
        "Definition": {},
    }


class LocalAgent:
    def __init__(self, node: str, catalog: CatalogState, ticker: Ticker, address: str = "127.0.0.1") -> None:
        self.node = node
        self.address = address
        self._catalog = catalog
        self._ticker = ticker
        self._ttls: dict[str, float] = {}
        self._reap_after: dict[str, float] = {}
        self._timers: dict[tuple[str, str], int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.join()

    def join(self) -> None:
        self._catalog.put_node(
            {"ID": "6b1d6b3a-0000-4000-8000-000000000001", "Node": self.node, "Address": self.address}
            | {"Datacenter": "dc1", "TaggedAddresses": {"lan": self.address}, "Meta": {}}
        )
        self._put_check(SERF, {"name": "Serf Health Status", "status": "passing"}, "Agent alive and reachable")

    # services

    def services(self) -> dict[str, Record]:
        return {ident: each for (node, ident), each in self._catalog.services.items() if node == self.node}

    def checks(self) -> dict[str, Record]:
        own = ((ident, each) for (node, ident), each in self._catalog.checks.items() if node == self.node)
        return {ident: each for ident, each in own if ident != SERF}

    def register(self, body: Record) -> None:
        wanted = lowered(body)
        name = wanted.get("name")
        if not name:
            raise Refused("Missing service name")
        ident = wanted.get("id") or name
        self._catalog.put_service(self.node, service_record(wanted))
        checks = [*([wanted["check"]] if wanted.get("check") else []), *(wanted.get("checks") or [])]
        for number, check in enumerate(map(lowered, checks), 1):
            default = f"service:{ident}" if len(checks) == 1 else f"service:{ident}:{number}"
            self.register_check({"name": f"Service '{name}' check", **check, "serviceid": ident}, default)

    def deregister(self, ident: str) -> None:
        if ident not in self.services():
            raise Refused(f'Unknown service ID "{ident}". Ensure that the service ID is passed, not the service name.')
        for check in [key for key, each in self.checks().items() if each["ServiceID"] == ident]:
            self._forget(check)
        self._catalog.drop_service(self.node, ident)

    def register_check(self, body: Record, default: str = "") -> None:
        check = lowered(body)
        ident = check.get("checkid") or check.get("id") or default or check.get("name")
        if not ident:
            raise Refused("Missing check name")
        service = check.get("serviceid") or ""
        if service and service not in self.services():
            raise Refused(f'ServiceID "{service}" does not exist')
        self._forget(ident)
        if after := check.get("deregistercriticalserviceafter"):
            self._reap_after[ident] = max(LEAST_DEREGISTER, seconds(after))
        if ttl := check.get("ttl"):
            self._ttls[ident] = seconds(ttl)
        self._put_check(ident, check, "", service)
        self._time(ident)
        if "http" in check or "tcp" in check:
            self._tasks[ident] = asyncio.get_running_loop().create_task(self._run(ident, check))

    def deregister_check(self, ident: str) -> None:
        if ident not in self.checks():
            raise Refused(f'Unknown check ID "{ident}". Ensure that the check ID is passed, not the check name.')
        self._forget(ident)
        self._catalog.drop_check(self.node, ident)

    def update(self, ident: str, status: str, output: str) -> None:
        """The state of a TTL check, by its client."""
        if ident not in self.checks():
            raise Refused(f'Unknown check ID "{ident}". Ensure that the check ID is passed, not the check name.')
        if ident not in self._ttls:
            raise Refused(f'CheckID "{ident}" does not have associated TTL')
        self.set(ident, status, output)

    def set(self, ident: str, status: str, output: str = "") -> None:
        """As the check found."""
        old = self._catalog.checks[self.node, ident]
        # Output alone is synced to the catalog after minutes only (check_update_interval).
        kept = old["Output"] if old["Status"] == status else output
        indexes = ("CreateIndex", "ModifyIndex")
        fresh = {key: each for key, each in old.items() if key not in indexes} | {"Status": status, "Output": kept}
        self._catalog.put_check(self.node, fresh)
        self._time(ident)

    def maintain(self, ident: str, on: bool, reason: str) -> None:
        check = f"_service_maintenance:{ident}"
        if on:
            self._put_check(check, {"name": "Service Maintenance Mode", "status": "critical"}, reason, ident)
        else:
            self._catalog.drop_check(self.node, check)

    def stop(self) -> None:
        for each in self._tasks.values():
            each.cancel()

    # checks

    def _put_check(self, ident: str, check: Record, output: str, service: str = "") -> None:
        made = check_record(self.node, ident, check, output, self.services().get(service))
        self._catalog.put_check(self.node, made)

    def _time(self, ident: str) -> None:
        """The timers that follow from the state of a check."""
        check = self._catalog.checks[self.node, ident]
        if ident in self._ttls:
            self._start(("ttl", ident), self._ttls[ident], lambda: self._expire(ident))
        reap = ("reap", ident)
        if check["Status"] != "critical":
            self._ticker.cancel(self._timers.pop(reap, None))
        elif ident in self._reap_after and reap not in self._timers:
            self._start(reap, self._reap_after[ident], lambda: self.deregister(check["ServiceID"]))

    def _expire(self, ident: str) -> None:
        self.set(ident, "critical", "TTL expired")
        self._ticker.cancel(self._timers.pop(("ttl", ident), None))

    def _start(self, key: tuple[str, str], after: float, call: Any) -> None:
        self._ticker.cancel(self._timers.pop(key, None))
        self._timers[key] = self._ticker.at(after, call)

    def _forget(self, ident: str) -> None:
        self._ttls.pop(ident, None)
        self._reap_after.pop(ident, None)
        for kind in ("ttl", "reap"):
            self._ticker.cancel(self._timers.pop((kind, ident), None))
        if task := self._tasks.pop(ident, None):
            task.cancel()

    async def _run(self, ident: str, check: Record) -> None:
        every = seconds(check.get("interval") or "10s")
        limit = aiohttp.ClientTimeout(total=seconds(check.get("timeout") or "10s"))
        async with aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                self.set(ident, *await (_look(session, check["http"]) if "http" in check else _connect(check["tcp"])))
                await asyncio.sleep(every)


async def _look(session: aiohttp.ClientSession, url: str) -> tuple[str, str]:
    """429 is a warning (https://developer.hashicorp.com/consul/docs/register/health-check/vm)."""
    try:
        async with session.get(url, allow_redirects=False) as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as error:
        return "critical", str(error)
    return "passing" if 200 <= status < 300 else "warning" if status == 429 else "critical", f"HTTP {status}"


async def _connect(target: str) -> tuple[str, str]:
    host, _, port = target.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError as error:
        return "critical", str(error)
    writer.close()
    return "passing", f"TCP connect {target}: Success"
