"""A DNS server over UDP and TCP that answers as a test scripts it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Literal, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Fault = Literal["", "silent", "servfail", "refused", "garbage", "cut", "other question"]
SOA = "ns.example. admin.example. 1 3600 600 86400 {minimum}"


class ScriptedDns:
    """``async with ScriptedDns() as server``: it listens at ``server.address``, ``host:port``.

    ``set`` scripts records; a name without any gets NXDOMAIN, and one with other kinds only an empty answer, both with
    an SOA record whose TTL is ``negative_ttl``. ``fault``: what happens to each question, or by its name and kind.
    ``cut``: answers over UDP are truncated, so that only TCP has them. ``asked``: name, kind and transport of each.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[dns.rrset.RRset]] = {}
        self.extra: dict[tuple[str, str], list[dns.rrset.RRset]] = {}
        self.fault: Fault | Callable[[str, str], Fault] = ""
        self.negative_ttl = 7
        self.asked: list[tuple[str, str, str]] = []

    def set(self, name: str, kind: str, ttl: int, *values: str, beside: tuple[str, ...] = ()) -> None:
        """The records of a name; without ``values``: none. ``beside``: further records, as ``name ttl kind value``.

        Those of the kind CNAME that follow within the answer are part of it, others are additional.
        """
        place = (name.lower().rstrip("."), kind)
        self.records[place] = [_rrset(name, kind, ttl, *values)] if values else []
        self.extra[place] = []
        for line in beside:
            owner, seconds, other, value = line.split(maxsplit=3)
            made = _rrset(owner, other, int(seconds), value)
            (self.records if "CNAME" in (other, kind) else self.extra)[place].append(made)

    def forget(self, name: str) -> None:
        for place in [each for each in self.records if each[0] == name]:
            del self.records[place]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        request = dns.message.from_wire(wire)
        question = request.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), question.rdtype.name
        self.asked.append((name, kind, transport))
        fault = self.fault(name, kind) if callable(self.fault) else self.fault
        response = dns.message.make_response(request)
        match fault:
            case "silent":
                return None
            case "garbage":
                return wire[:2] + b"\xff" * 20
            case "servfail":
                response.set_rcode(dns.rcode.SERVFAIL)
                return response.to_wire()
            case "refused":
                response.set_rcode(dns.rcode.REFUSED)
                return response.to_wire()
            case "other question":
                other = dns.message.make_query("other.example.", kind)
                other.id = request.id
                return dns.message.make_response(other).to_wire()
            case "cut" if transport == "udp":
                response.flags |= dns.flags.TC
                return response.to_wire()
        self._fill(response, name, kind)
        return response.to_wire(max_size=65535)

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        found = self.records.get((name, kind)) or self.records.get((name, "CNAME"))
        if found:
            response.answer.extend(found)
            response.additional.extend(self.extra.get((name, kind), ()))
            return
        if not any(known == name or known.endswith(f".{name}") for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = SOA.format(minimum=self.negative_ttl)
        response.authority.append(_rrset(name, "SOA", self.negative_ttl, soa))

    async def __aenter__(self) -> ScriptedDns:
        loop = asyncio.get_running_loop()
        for _ in range(100):  # until both are free
            datagrams, stream = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
            datagrams.bind(("127.0.0.1", 0))
            self.port = datagrams.getsockname()[1]
            try:
                stream.bind(("127.0.0.1", self.port))
                break
            except OSError:
                datagrams.close()
                stream.close()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
        self._tcp = await asyncio.start_server(self._serve, sock=stream)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                answer = self.answer(await reader.readexactly(length), "tcp")
                if answer is not None:
                    writer.write(len(answer).to_bytes(2, "big") + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: ScriptedDns) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's is none by its class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, "udp")
        if answer is not None:
            self._transport.sendto(answer, addr)


def _rrset(name: str, kind: str, ttl: int, *values: str) -> dns.rrset.RRset:
    owner = dns.name.from_text(name)
    return dns.rrset.from_text(owner, ttl, "IN", kind, *values)
