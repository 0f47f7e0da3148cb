"""An HTTP/2 client over TLS that reads on demand, and can cancel one stream while its connection goes on."""

from __future__ import annotations

import asyncio
import importlib
import json
import ssl
import sys
from collections.abc import Iterable
from types import ModuleType, TracebackType
from typing import Any

from tests.deploy.tools import site_packages
from tests.support import within

CANCEL = 8  # an error code of RST_STREAM (RFC 9113 section 7)


def _h2(module: str) -> ModuleType:
    """A module of the package h2, which is installed beside the tools."""
    if (folder := str(site_packages())) not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f"h2.{module}")


class Http2Stream:
    """One request. ``head`` and ``event`` wait for what they return."""

    def __init__(self, client: Http2Client, number: int) -> None:
        self._client = client
        self._number = number
        self.headers: dict[str, str] = {}
        self.body = bytearray()  # what ``event`` has not returned yet
        self.ended = False
        self.failure = ""  # of the stream or its connection
        self.changed = asyncio.Event()

    async def _until(self, condition: Any, what: str) -> None:
        async def look() -> None:
            while not condition() and not self.failure:
                self.changed.clear()
                await self.changed.wait()

        await within(look(), what, lambda: (self.headers, bytes(self.body)))
        assert condition(), f"waited for {what}: {self.failure}"

    async def status(self) -> int:
        await self._until(lambda: self.headers, "a response head")
        return int(self.headers[":status"])

    async def event(self) -> bytes:
        """The next SSE block; ``b""`` at the end."""
        await self._until(lambda: b"\n\n" in self.body or self.ended, "an event")
        end = self.body.find(b"\n\n") + 2 or len(self.body)
        taken = bytes(self.body[:end]) if end > 1 else b""
        del self.body[: len(taken)]
        return taken

    async def rest(self) -> bytes:
        await self._until(lambda: self.ended, "the end of the body")
        return bytes(self.body)

    async def send(self, data: bytes, *, end: bool = False) -> None:
        """Less than the window of the stream."""
        self._client.wire.send_data(self._number, data, end_stream=end)
        await self._client.flush()

    async def cancel(self) -> None:
        self._client.wire.reset_stream(self._number, CANCEL)
        await self._client.flush()


class Http2Client:
    """``async with Http2Client(port, trust, name) as client``: the server's certificate must be one for ``name``."""

    def __init__(self, port: int, trust: ssl.SSLContext, name: str, *, source: str = "127.0.0.1") -> None:
        self._port = port
        self._trust = trust
        self._name = name
        self._source = source
        self._streams: dict[int, Http2Stream] = {}

    async def __aenter__(self) -> Http2Client:
        self._trust.set_alpn_protocols(["h2"])
        opening = asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._trust, server_hostname=self._name, local_addr=(self._source, 0)
        )
        self._reader, self._writer = await within(opening, f"a connection to port {self._port}")
        chosen = self._writer.get_extra_info("ssl_object").selected_alpn_protocol()
        assert chosen == "h2", f"the server chose {chosen}"
        config = _h2("config").H2Configuration(client_side=True, header_encoding="utf-8")
        self.wire = _h2("connection").H2Connection(config)
        self.wire.initiate_connection()
        await self.flush()
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        self._writer.transport.abort()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def request(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        json_body: Any = None,
        more: bool = False,
    ) -> Http2Stream:
        """``more``: a body follows with ``send``."""
        number = self.wire.get_next_available_stream_id()
        stream = self._streams[number] = Http2Stream(self, number)
        lines = [(":method", method), (":scheme", "https"), (":authority", self._name), (":path", target)]
        lines += [(name.lower(), value) for name, value in headers]
        body = b"" if json_body is None else json.dumps(json_body).encode()
        if body:
            lines += [("content-type", "application/json"), ("content-length", str(len(body)))]
        self.wire.send_headers(number, lines, end_stream=not body and not more)
        if body:
            self.wire.send_data(number, body, end_stream=True)
        await self.flush()
        return stream

    async def flush(self) -> None:
        self._writer.write(self.wire.data_to_send())
        await self._writer.drain()

    async def _read(self) -> None:
        failure = "the connection was closed"
        try:
            while data := await self._reader.read(65536):
                for event in self.wire.receive_data(data):
                    self._take(event)
                await self.flush()
        except OSError as error:
            failure = repr(error)
        for stream in self._streams.values():
            stream.failure = stream.failure or failure
            stream.changed.set()

    def _take(self, event: Any) -> None:
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        match type(event).__name__:
            case "ResponseReceived":
                stream.headers = dict(event.headers)
            case "DataReceived":
                stream.body += event.data
                self.wire.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case "StreamEnded":
                stream.ended = True
            case "StreamReset":
                stream.failure = f"reset by the server, code {event.error_code}"
        stream.changed.set()
