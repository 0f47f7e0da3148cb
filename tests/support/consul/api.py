"""The HTTP API of the agent: what each path answers."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.support.consul.catalog import SERF, CatalogState, Record
from tests.support.consul.kv import Entry, KeyValues, Refused
from tests.support.consul.local import LocalAgent, check_record, lowered, seconds, service_record
from tests.support.consul.store import Index, Ticker

MOST_VALUE = 512 * 1024
MOST_OPERATIONS = 64
LONGEST_WAIT = 600.0
DEFAULT_WAIT = 300.0

# A query: its index and result; ``None``: 404.
Query = Callable[[], tuple[int, Any]]

# What a KV key may not contain and end with, since 1.22 (validateKVKey).
KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,-_./")
SUSPICIOUS = (".js", ".css", ".html", ".htm", ".xml", ".json", ".txt", ".log", ".py", ".sh", ".com", ".zip", ".gz")


class Denied(Exception):
    """The token may not."""


def plain(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/plain")


def answer(value: Any) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), content_type="application/json")


class Api:
    """``leader`` False: no leader is known, and only stale reads are answered. ``contact``: its age in seconds.

    ``tokens``: those that may everything; with any, a request without one may nothing, and another one is unknown.
    ``index_zero``: a bug of old versions, X-Consul-Index of 0.
    """

    def __init__(self, node: str = "agent-one", tokens: tuple[str, ...] = ()) -> None:
        self.index = Index()
        self.ticker = Ticker()
        self.kv = KeyValues(self.index, self.ticker)
        self.catalog = CatalogState(self.index, self.kv.check_failed)
        self.local = LocalAgent(node, self.catalog, self.ticker)
        self.tokens = tokens
        self.leader = True
        self.contact = 0.0
        self.index_zero = False
        self.waiting = 0  # blocking queries that wait

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._handle(request)
        except Denied as denied:
            return plain(str(denied), 403)
        except Refused as refused:
            message = str(refused)
            # Unknown ids are not found, since 1.11; the rest is an error of the server, as Consul has it.
            return plain(message, 404 if message.startswith("Unknown ") else 500)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        parts = path.removeprefix("/v1/").split("/")
        query = request.query
        if not path.startswith("/v1/"):
            return plain("", 404)
        if query.get("dc", "dc1") != "dc1":
            raise Refused("No path to datacenter")
        if "stale" in query and "consistent" in query:
            return plain("Cannot specify ?stale with ?consistent, conflicting semantics.", 400)
        token = request.headers.get("X-Consul-Token") or request.headers.get("Authorization", "")[len("Bearer ") :]
        if self.tokens and token and token not in self.tokens:
            raise Denied("ACL not found")
        allowed = not self.tokens or bool(token)
        if not self.leader and "stale" not in query and parts[0] != "agent" and parts[0] != "status":
            raise Refused("No cluster leader")
        match parts[0]:
            case "kv":
                key = unquote(path.removeprefix("/v1/kv/"))
                return await self._key_value(request, key, allowed)
            case "txn":
                return await self._transaction(request, allowed)
            case "session":
                return await self._session(request, parts[1:], allowed)
            case "status":
                return answer("127.0.0.1:8300" if parts[1] == "leader" else ["127.0.0.1:8300"])
            case "catalog" | "health" if request.method == "GET":
                return await self._read(request, parts, allowed)
            case "catalog" if request.method == "PUT":
                self._may(allowed)
                return self._catalog_write(parts[1], await request.json())
            case "agent":
                self._may(allowed)
                return await self._agent(request, [unquote(part) for part in parts[1:]])
        return plain("", 405 if request.method not in ("GET", "PUT", "DELETE") else 404)

    # reads

    async def _blocking(self, request: web.BaseRequest, run: Query, filtered: bool = False) -> web.Response:
        """agent/blockingquery: until the result's index is greater than the client's, or its time is over."""
        query = request.query
        try:
            least = int(query.get("index", "0"))
            wait = min(LONGEST_WAIT, seconds(query["wait"]) if "wait" in query else DEFAULT_WAIT)
        except (ValueError, Refused):
            return plain("Invalid index or wait time", 400)
        index, result = run()
        if least and index <= least:
            self.waiting += 1
            try:
                async with asyncio.timeout(wait + random.uniform(0, wait / 16)):
                    generation = self.index.generation
                    while index <= least and generation == self.index.generation:
                        await self.index.change()
                        index, result = run()
            except TimeoutError:
                pass
            finally:
                self.waiting -= 1
        response = plain("", 404) if result is None else answer(result)
        headers = response.headers
        headers["X-Consul-Index"] = "0" if self.index_zero else str(max(1, index))
        headers["X-Consul-KnownLeader"] = str(self.leader).lower()
        headers["X-Consul-LastContact"] = str(int(self.contact * 1000)) if "stale" in query else "0"
        headers["X-Consul-Effective-Consistency"] = (
            "stale" if "stale" in query else "consistent" if "consistent" in query else "leader"
        )
        if filtered:
            headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
        return response

    async def _read(self, request: web.BaseRequest, parts: list[str], allowed: bool) -> web.Response:
        catalog, query = self.catalog, request.query
        name = unquote(parts[2]) if len(parts) > 2 else ""
        tags = query.getall("tag", [])

        def instances() -> list[tuple[Record, Record, list[Record]]]:
            return [
                found
                for found in catalog.instances(name)
                if all(tag.lower() in map(str.lower, found[1]["Tags"]) for tag in tags)
                and not ("passing" in query and any(check["Status"] != "passing" for check in found[2]))
            ]

        def checks(wanted: Callable[[Record], bool]) -> list[Record]:
            return [each for _, each in sorted(catalog.checks.items()) if wanted(each)]

        runs: dict[tuple[str, str], Query] = {
            ("health", "service"): lambda: (
                catalog.index_of(name),
                [{"Node": node, "Service": service, "Checks": found} for node, service, found in instances()],
            ),
            ("catalog", "service"): lambda: (
                catalog.index_of(name, checks=False),
                [_flat(node, service) for node, service, _ in instances()],
            ),
            ("catalog", "services"): lambda: (catalog.table("nodes", "services") or 1, catalog.names()),
            ("catalog", "nodes"): lambda: (catalog.table("nodes") or 1, [*catalog.nodes.values()]),
            ("catalog", "datacenters"): lambda: (1, ["dc1"]),
            ("catalog", "node"): lambda: (
                catalog.table("nodes", "services"),
                {
                    "Node": catalog.nodes[name],
                    "Services": {ident: each for (at, ident), each in catalog.services.items() if at == name},
                }
                if name in catalog.nodes
                else None,
            ),
            ("health", "checks"): lambda: (catalog.index_of(name), checks(lambda each: each["ServiceName"] == name)),
            ("health", "node"): lambda: (catalog.table("checks"), checks(lambda each: each["Node"] == name)),
            ("health", "state"): lambda: (
                catalog.table("checks"),
                checks(lambda each: name in ("any", each["Status"])),
            ),
        }
        run = runs.get((parts[0], parts[1]))
        if run is None:
            return plain("", 404)
        if not allowed:  # results are filtered, not refused
            return await self._blocking(request, lambda: (run()[0], type(run()[1])()), filtered=True)
        return await self._blocking(request, run)

    def _catalog_write(self, verb: str, body: Record) -> web.Response:
        """Nodes outside of this agent: external services."""
        body = lowered(body)
        node = body["node"]
        if verb == "register":
            self.catalog.put_node(
                {"ID": body.get("id", ""), "Node": node, "Address": body["address"], "Datacenter": "dc1"}
                | {"TaggedAddresses": body.get("taggedaddresses"), "Meta": body.get("nodemeta")}
            )
            if service := body.get("service"):
                self.catalog.put_service(node, service_record(lowered(service)))
            for check in [*([body["check"]] if body.get("check") else []), *(body.get("checks") or [])]:
                wanted = lowered(check)
                ident = wanted.get("checkid") or wanted["name"]
                of = self.catalog.services.get((node, wanted.get("serviceid") or ""))
                self.catalog.put_check(node, check_record(node, ident, wanted, wanted.get("output") or "", of))
        elif "serviceid" in body:
            self.catalog.drop_service(node, body["serviceid"])
        elif "checkid" in body:
            self.catalog.drop_check(node, body["checkid"])
        else:
            self.catalog.drop_node(node)
        return answer(True)

    # the agent's own

    async def _agent(self, request: web.BaseRequest, parts: list[str]) -> web.Response:
        local, query = self.local, request.query
        if request.method == "GET":
            match parts:
                case ["self"]:
                    return answer({"Config": {"Datacenter": "dc1", "NodeName": local.node, "Version": "1.22.0"}})
                case ["services"]:
                    return answer(local.services())
                case ["checks"]:
                    return answer(local.checks())
                case ["service", ident]:
                    found = local.services().get(ident)
                    return answer(found) if found else plain(f"unknown service ID: {ident}", 404)
            return plain("", 404)
        if request.method != "PUT":
            return plain("", 405)
        body = await request.read()
        match parts:
            case ["service", "register"]:
                local.register(json.loads(body))
            case ["service", "deregister", ident]:
                local.deregister(ident)
            case ["service", "maintenance", ident]:
                local.maintain(ident, query.get("enable") == "true", query.get("reason", ""))
            case ["check", "register"]:
                local.register_check(json.loads(body))
            case ["check", "deregister", ident]:
                local.deregister_check(ident)
            case ["check", "update", ident]:
                wanted = lowered(json.loads(body))
                local.update(ident, wanted["status"], wanted.get("output", ""))
            case ["check", "pass" | "warn" | "fail" as verb, ident]:
                status = {"pass": "passing", "warn": "warning", "fail": "critical"}[verb]
                local.update(ident, status, query.get("note", ""))
            case _:
                return plain("", 404)
        return plain("")

    async def _session(self, request: web.BaseRequest, parts: list[str], allowed: bool) -> web.Response:
        kv = self.kv
        sessions = [each.shown() for each in kv.sessions.values()] if allowed else []
        index = self.index.highest("sessions")
        if request.method == "GET":
            match parts:
                case ["list"]:
                    return await self._blocking(request, lambda: (index, sessions))
                case ["node", node]:
                    return await self._blocking(
                        request, lambda: (index, [each for each in sessions if each["Node"] == node])
                    )
                case ["info", ident]:
                    return await self._blocking(
                        request, lambda: (index, [each for each in sessions if each["ID"] == ident])
                    )
            return plain("", 404)
        if request.method != "PUT":
            return plain("", 405)
        self._may(allowed)
        match parts:
            case ["create"]:
                text = await request.read()
                return answer({"ID": self._create(lowered(json.loads(text) if text else {}))})
            case ["renew", ident]:
                found = kv.renew(ident)
                return answer([found.shown()]) if found else plain(f"Session ident '{ident}' not found", 404)
            case ["destroy", ident]:
                kv.destroy(ident)
                return answer(True)
        return plain("", 404)

    def _create(self, wanted: Record) -> str:
        ttl = wanted.get("ttl") or ""
        ttl_secs = seconds(ttl) if ttl else 0.0
        if ttl and not 10 <= ttl_secs <= 86_400:
            raise Refused(f"Invalid Session TTL '{ttl_secs:g}', must be between [10s=24h0m0s]")
        delay = wanted.get("lockdelay", "15s")
        delay_secs = seconds(delay) if isinstance(delay, str) else delay if delay < 1000 else delay * 1e-9
        behavior = wanted.get("behavior") or "release"
        if behavior not in ("release", "delete"):
            raise Refused(f"Invalid Behavior setting '{behavior}'")
        node = wanted.get("node") or self.local.node
        checks = wanted.get("nodechecks", wanted.get("checks"))
        checks = [SERF] if checks is None else checks
        checks = checks + [each["ID"] for each in wanted.get("servicechecks") or []]
        if node not in self.catalog.nodes:
            raise Refused("Missing node registration")
        for each in checks:
            found = self.catalog.checks.get((node, each))
            if found is None:
                raise Refused(f"Missing check '{each}' registration")
            if found["Status"] == "critical":
                raise Refused(f"Check '{each}' is in critical state")
        return self.kv.create(node, wanted.get("name") or "", checks, min(delay_secs, 60), behavior, ttl, ttl_secs).id

    # keys

    async def _key_value(self, request: web.BaseRequest, key: str, allowed: bool) -> web.Response:
        kv, query = self.kv, request.query
        if key and (reason := refusal(key)):
            return plain(reason, 400)
        whole = "recurse" in query or "keys" in query
        if not key and not whole:
            return plain("Missing key name", 400)
        if request.method == "GET":
            if "keys" in query:
                separator = query.get("separator", "")

                def keys() -> tuple[int, Any]:
                    index, found = kv.keys(key, separator)
                    return index, (found if allowed else []) or (None if key else [])

                return await self._blocking(request, keys)
            if "recurse" in query:

                def entries() -> tuple[int, Any]:
                    index, found = kv.list(key)
                    return index, ([each.shown() for each in found] if allowed else None) or None

                return await self._blocking(request, entries, filtered=not allowed)
            self._may(allowed)

            def one() -> tuple[int, Any]:
                index, found = kv.get(key)
                return index, None if found is None else [found.shown()]

            response = await self._blocking(request, one)
            if "raw" in query and response.status == 200:
                _, found = kv.get(key)
                assert found is not None
                response.body = found.value
                response.content_type = "text/plain"
            return response
        self._may(allowed)
        if request.method == "PUT":
            if sum(each in query for each in ("cas", "acquire", "release")) > 1:
                return plain("Conflicting flags", 400)
            value = await request.read()
            if len(value) > MOST_VALUE:
                return plain(f"Request body({len(value)} bytes) too large, max size: {MOST_VALUE} bytes.", 413)
            flags = int(query.get("flags", "0"))
            if "cas" in query:
                return answer(kv.cas(key, value, flags, int(query["cas"])))
            if "acquire" in query:
                return answer(kv.acquire(key, value, flags, query["acquire"]))
            if "release" in query:
                return answer(kv.release(key, value, flags, query["release"]))
            return answer(kv.put(key, value, flags))
        if request.method == "DELETE":
            if "recurse" in query and "cas" in query:
                return plain("Conflicting flags", 400)
            if "recurse" in query:
                return answer(kv.delete_tree(key))
            if "cas" in query:
                return answer(kv.delete_cas(key, int(query["cas"])))
            return answer(kv.delete(key))
        return plain("", 405)

    async def _transaction(self, request: web.BaseRequest, allowed: bool) -> web.Response:
        if request.method != "PUT":
            return plain("", 405)
        self._may(allowed)
        operations = [lowered(each.get("KV")) for each in json.loads(await request.read())]
        if len(operations) > MOST_OPERATIONS:
            return plain(f"Transaction contains too many operations ({len(operations)} > {MOST_OPERATIONS})", 413)
        results: list[Any] = []
        failed: list[int] = []

        def run(index: int) -> None:
            for number, each in enumerate(operations):
                failed[:] = [number]
                results.extend({"KV": shown} for shown in self._operate(each, index))

        try:
            self.kv.transact(run)
        except Refused as refused:
            body = {"Results": None, "Errors": [{"OpIndex": failed[0], "What": str(refused)}]}
            return web.Response(body=json.dumps(body).encode(), status=409, content_type="application/json")
        return answer({"Results": results, "Errors": None})

    def _operate(self, operation: Record, index: int) -> list[Record]:
        """What one operation of a transaction returns: keys without values after a write."""
        kv = self.kv
        verb, key, flags = operation["verb"], operation["key"], operation.get("flags") or 0
        value = base64.b64decode(operation.get("value") or "")
        expected, session = operation.get("index") or 0, operation.get("session") or ""
        entry = kv.entries.get(key)
        found = [entry.shown()] if entry else []

        def stored(done: bool, reason: str) -> list[Record]:
            if not done:
                raise Refused(f'failed to {verb} key "{key}", {reason}')
            after = kv.entries.get(key, Entry(key, b""))
            return [] if verb.startswith("delete") else [after.shown(value=False)]

        match verb:
            case "set":
                return stored(kv.put(key, value, flags, index), "")
            case "cas":
                return stored(kv.cas(key, value, flags, expected, index), "index is stale")
            case "lock":
                return stored(kv.acquire(key, value, flags, session, index), "lock is already held")
            case "unlock":
                return stored(kv.release(key, value, flags, session, index), "lock isn't held, or is held by another")
            case "delete":
                return stored(kv.delete(key, index), "")
            case "delete-cas":
                return stored(kv.delete_cas(key, expected, index), "index is stale")
            case "delete-tree":
                return stored(kv.delete_tree(key, index), "")
            case "get-or-empty":
                return found or [Entry(key, b"").shown()]
            case "get-tree":
                return [each.shown() for each in kv.list(key)[1]]
            case "check-not-exists" if entry is None:
                return []
            case "get" | "check-index" | "check-session" if entry is None:
                raise Refused(f'key "{key}" doesn\'t exist')
            case "get":
                return found
            case "check-index" if entry is not None and entry.modify == expected:
                return [entry.shown(value=False)]
            case "check-session" if entry is not None and entry.session == session:
                return [entry.shown(value=False)]
        raise Refused(f'failed {verb} for key "{key}"')

    def _may(self, allowed: bool) -> None:
        if not allowed:
            raise Denied("Permission denied: anonymous token lacks permission")


def refusal(key: str) -> str:
    if key.startswith("/"):
        return "key must not begin with a '/'"
    if not KEY_CHARACTERS.issuperset(key):
        return "key contains invalid character. Only alphanumeric characters and ,-_./ are allowed"
    if "../" in key:
        return "key contains path traversal sequence"
    if key.lower().endswith(SUSPICIOUS):
        return "key contains suspicious file extension that may be cached by proxies"
    return ""


def _flat(node: Record, service: Record) -> Record:
    return {
        **node,
        **{f"Service{name}": service[name] for name in ("ID", "Address", "Tags", "Meta", "Port", "Weights")},
        "ServiceName": service["Service"],
        "CreateIndex": service["CreateIndex"],
        "ModifyIndex": service["ModifyIndex"],
    }
