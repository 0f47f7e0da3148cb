"""A DNS server for tests, in the place of the one that containers have: each name has addresses, others do not exist."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType

_RESPONSE = 0x8180  # with recursion, as asked for (RFC 1035 4.1.1)
_NO_SUCH_NAME = 0x8183


class NameServer(asyncio.DatagramProtocol):
    """``async with NameServer({"api": ["127.0.0.2"]}) as names``: answers at UDP port ``names.port`` of 127.0.0.1.

    ``addresses`` may be changed; answers may be kept for a second.
    """

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        self.addresses = addresses
        self.port = 0

    async def __aenter__(self) -> NameServer:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._transport.sendto(self._answer(data), address)

    def _answer(self, query: bytes) -> bytes:
        labels, place = [], 12
        while length := query[place]:
            labels.append(query[place + 1 : place + 1 + length].decode())
            place += 1 + length
        found = self.addresses.get(".".join(labels), [])
        question = query[12 : place + 5]
        head = query[:2] + (_RESPONSE if found else _NO_SUCH_NAME).to_bytes(2, "big")
        counts = b"".join(count.to_bytes(2, "big") for count in (1, len(found), 0, 0))
        # The name of the question, type A, class IN, one second, four bytes.
        records = (b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(each) for each in found)
        return head + counts + question + b"".join(records)
