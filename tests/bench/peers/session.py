"""The proxy that one writes first: aiohttp's low-level server and a ``ClientSession``, nothing else.

``python -m tests.bench.peers.session PORT ORIGIN CA_FILE`` runs it.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from tests.bench.peers.base import Peer, installed


class Session(Peer):
    name = "aiohttp"

    def version(self) -> str:
        return installed("aiohttp")

    def command(self) -> list[str]:
        place = [str(self.port), self.origin, str(self.provider.ca)]
        return [sys.executable, "-m", "tests.bench.peers.session", *place]


async def serve(port: int, origin: str, ca: str) -> None:
    from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        sent = {name: request.headers[name] for name in ("Content-Type", "Authorization")}
        async with session.post(origin + request.path, data=body, headers=sent) as answer:
            kind = {"Content-Type": answer.headers["Content-Type"]}
            if answer.content_length is not None:
                return web.Response(status=answer.status, body=await answer.read(), headers=kind)
            response = web.StreamResponse(status=answer.status, headers=kind)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    context = ssl.create_default_context(cafile=ca)
    connector = TCPConnector(limit=0, ssl=context)
    timeout = ClientTimeout(total=None)
    async with ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        runner = web.ServerRunner(web.Server(handle, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
