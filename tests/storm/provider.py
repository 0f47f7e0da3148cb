"""Providers: raw servers that record every request and respond well or with a fault."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Sequence
from itertools import count
from typing import Any

from msgspec import Struct

from tests.storm.bills import Bill, cost_of, tokens_of
from tests.storm.faults import GOOD, NO_KEY, NO_MODEL, PLAIN, STREAM, Fault, Peer
from tests.storm.shapes import shape_of
from tests.storm.traffic import KEYS, vault_accepts

ROUTER_FIELDS = {"tags", "type", "min_context_size", "json_response", "prefer_fast", "min_success_rate"}
KNOWN = {"one": {"m-one"}, "two": {"m-two"}, "healthy": {"solid"}}


class SeenRequest(Struct, eq=False):
    """A request that a provider got.

    ``kinds``: the failure kinds that the gateway may assign to the response. ``bill``: of the usage that was sent.
    """

    number: int  # over all providers, in order
    name: str
    provider: str
    model: str
    path: str
    fault: Fault
    kinds: frozenset[str]
    kept: bool  # over a reused connection
    last: bool = True  # the last request of its connection
    closed: bool = False  # its connection has ended
    hung: bool = False
    bill: Bill | None = None

    @property
    def maybe_repeated(self) -> bool:
        """Whether the gateway may treat the connection as stale and send the request again."""
        return self.fault.mute and self.kept


class Provider:
    """A server. ``rate``: the share of faulty responses. ``vault``: stands for several providers and checks keys.

    ``counting``: the requests whose clients requested usage; the gateway requests it always.
    """

    def __init__(
        self, name: str, order: count[int], seed: int = 0, rate: float = 0.0, counting: frozenset[str] = frozenset()
    ) -> None:
        self.recorded: list[SeenRequest] = []
        self.mistakes: list[str] = []
        self.url = ""
        self._name = name
        self._order = order
        self._rate = rate
        self._counting = counting
        self._dice = random.Random(f"{name} {seed}")
        self._decks: dict[bool, list[Fault]] = {False: [], True: []}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    async def stop(self) -> None:
        """Close the listener and wait for the connections to end."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        await asyncio.gather(*self._tasks)

    def _accept(self) -> None:
        """Accept all pending connections; servers of uvloop accept one per loop iteration."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            task = asyncio.ensure_future(self._connected(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connected(self, connection: socket.socket) -> None:
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        transport, protocol = await loop.connect_accepted_socket(
            lambda: asyncio.StreamReaderProtocol(reader), connection
        )
        await self._serve(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served: list[SeenRequest] = []
        peer = Peer(reader, writer, self._dice)
        try:
            while await self._turn(reader, peer, served):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as mistake:
            self.mistakes.append(f"{self._name}: {mistake!r}")
        finally:
            if served:
                served[-1].closed, served[-1].hung = True, peer.hung
            writer.close()

    async def _turn(self, reader: asyncio.StreamReader, peer: Peer, served: list[SeenRequest]) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head[:-4].split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        path = line.split(" ")[1].removeprefix("/v1/")
        recorded = self._record(path, headers, body, bool(served))
        if served:
            served[-1].last = False
        served.append(recorded)
        tokens = tokens_of(recorded.path, recorded.number)
        peer.reported = False
        try:
            return await recorded.fault.play(peer, shape_of(recorded.path, body, recorded.name, tokens))
        finally:
            if peer.reported:
                recorded.bill = Bill(tokens, cost_of(recorded.provider, tokens))

    def _record(self, path: str, headers: dict[str, str], body: dict[str, Any], kept: bool) -> SeenRequest:
        name, provider = headers["x-request-id"], self._name
        if provider == "vault":
            number, _, path = path.partition("/")
            provider += number
        if extra := ROUTER_FIELDS & body.keys():
            self.mistakes.append(f"{name}: {provider} got the router fields {extra}")
        fault, number = self._fault(provider, body, headers.get("authorization", "")), next(self._order)
        kinds = fault.kinds_for(shape_of(path, body, name, tokens_of(path, number)), usage=name in self._counting)
        recorded = SeenRequest(number, name, provider, body["model"], path, fault, kinds, kept)
        self.recorded.append(recorded)
        return recorded

    def _fault(self, provider: str, body: dict[str, Any], key: str) -> Fault:
        if provider.startswith("vault"):
            number = int(provider.removeprefix("vault"))
            return GOOD if vault_accepts(number) and key == f"Bearer key-{number}-{KEYS - 1}" else NO_KEY
        if body["model"] not in KNOWN[provider]:
            return NO_MODEL
        if self._dice.random() >= self._rate:
            return GOOD
        return self._drawn(bool(body.get("stream")))

    def _drawn(self, stream: bool) -> Fault:
        """Draw a fault from a shuffled deck, so that each is equally frequent."""
        deck = self._decks[stream]
        if not deck:
            every: Sequence[Fault] = STREAM if stream else PLAIN
            deck += self._dice.sample(every, len(every))
        return deck.pop()
