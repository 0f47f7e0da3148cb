"""The Consul agent of the tests as a process: ``python -m tests.bench.consul_agent SERVICES``.

Prints its URL. Services are named ``service-0`` and so on, with one instance each. For each line on standard input,
``FIRST COUNT PORT``, it gives so many services from the first on another instance at once, and prints when it did:
seconds of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.support.consul import FakeConsul


async def main(services: int) -> None:
    async with FakeConsul() as agent:
        for number in range(services):
            agent.register(f"service-{number}", 8000)
        print(agent.url, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            agent.requests.clear()
            first, count, port = map(int, line.split())
            for number in range(first, first + count):
                agent.register(f"service-{number}", port)
            print(time.monotonic(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
