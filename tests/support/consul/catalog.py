"""Nodes, services and checks with the index of each service: ``agent/consul/state/catalog.go``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.support.consul.store import Index

Record = dict[str, Any]
SERF = "serfHealth"


def same(old: Record | None, new: Record) -> bool:
    """Apart from their indexes."""
    return old is not None and all(old.get(key) == value for key, value in new.items())


class CatalogState:
    """``failed`` is called with the node and the id of a check that is critical, or gone."""

    def __init__(self, index: Index, failed: Callable[[str, str], None]) -> None:
        self.nodes: dict[str, Record] = {}
        self.services: dict[tuple[str, str], Record] = {}
        self.checks: dict[tuple[str, str], Record] = {}
        self._failed = failed
        self._index = index
        self._of_service: dict[str, int] = {}
        self._extinction = 0  # index of the last time that a service lost its last instance

    # reading

    def index_of(self, service: str, checks: bool = True) -> int:
        """Of queries for one service. One that does not exist moves with any that ends (maxIndexForService)."""
        exists = any(each["Service"] == service for each in self.services.values())
        if not exists and self._extinction:
            return self._extinction
        if service in self._of_service:
            return self._of_service[service]
        return self._index.highest("nodes", "services", *(["checks"] if checks else []))

    def table(self, *tables: str) -> int:
        return self._index.highest(*tables)

    def instances(self, service: str) -> list[tuple[Record, Record, list[Record]]]:
        """(node, service, checks) of each, by node and id."""
        found = [key for key, each in self.services.items() if each["Service"] == service]
        return [
            (
                self.nodes[node],
                self.services[node, ident],
                [each for (at, _), each in self.checks.items() if at == node and each["ServiceID"] in ("", ident)],
            )
            for node, ident in sorted(found)
        ]

    def names(self) -> dict[str, list[str]]:
        tags: dict[str, set[str]] = {}
        for each in self.services.values():
            tags.setdefault(each["Service"], set()).update(each["Tags"] or [])
        return {name: sorted(found) for name, found in sorted(tags.items())}

    # writing

    def put_node(self, node: Record) -> None:
        name = node["Node"]
        index = self._index.next()
        old = self.nodes.get(name)
        if same(old, node):
            return
        self.nodes[name] = {**node, "CreateIndex": old["CreateIndex"] if old else index, "ModifyIndex": index}
        self._index.tables["nodes"] = index
        self._touch((each for (at, _), each in self.services.items() if at == name), index)

    def put_service(self, node: str, service: Record) -> None:
        key = node, service["ID"]
        index = self._index.next()
        old = self.services.get(key)
        if same(old, service):
            return
        made = {**service, "CreateIndex": old["CreateIndex"] if old else index, "ModifyIndex": index}
        self.services[key] = made
        self._touch([made], index)

    def put_check(self, node: str, check: Record) -> None:
        key = node, check["CheckID"]
        index = self._index.next()
        old = self.checks.get(key)
        if same(old, check):
            return
        self.checks[key] = {**check, "CreateIndex": old["CreateIndex"] if old else index, "ModifyIndex": index}
        self._check_changed(node, check, index)
        if check["Status"] == "critical":
            self._failed(node, check["CheckID"])

    def drop_service(self, node: str, ident: str) -> None:
        index = self._index.next()
        gone = self.services.pop((node, ident), None)
        if gone is None:
            return
        for at, check in [key for key, each in self.checks.items() if key[0] == node and each["ServiceID"] == ident]:
            del self.checks[at, check]
            self._index.tables["checks"] = index
            self._failed(node, check)
        if any(each["Service"] == gone["Service"] for each in self.services.values()):
            self._touch([gone], index)
        else:
            self._of_service.pop(gone["Service"], None)
            self._extinction = index
            self._index.touch("services", index)

    def drop_check(self, node: str, ident: str) -> None:
        index = self._index.next()
        gone = self.checks.pop((node, ident), None)
        if gone is not None:
            self._check_changed(node, gone, index)
            self._failed(node, ident)

    def drop_node(self, node: str) -> None:
        for _, ident in [key for key in self.services if key[0] == node]:
            self.drop_service(node, ident)
        for _, ident in [key for key in self.checks if key[0] == node]:
            self.drop_check(node, ident)
        if self.nodes.pop(node, None) is not None:
            self._index.touch("nodes", self._index.next())

    def lower(self, index: int) -> None:
        """As after a snapshot of that index was restored."""
        self._of_service = {name: min(each, index) for name, each in self._of_service.items()}
        self._extinction = min(self._extinction, index)
        for records in (self.nodes, self.services, self.checks):
            for each in records.values():
                each["CreateIndex"] = min(each["CreateIndex"], index)
                each["ModifyIndex"] = min(each["ModifyIndex"], index)

    def _check_changed(self, node: str, check: Record, index: int) -> None:
        self._index.tables["checks"] = index
        service = check["ServiceID"]
        self._touch(
            (each for (at, ident), each in self.services.items() if at == node and service in ("", ident)),
            index,
            table=False,
        )

    def _touch(self, services: Iterable[Record], index: int, table: bool = True) -> None:
        for each in services:
            self._of_service[each["Service"]] = index
        if table:
            self._index.tables["services"] = index
        self._index.wake()
