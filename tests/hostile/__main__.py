"""The command line of the hostile client."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from tests.hostile import attacks
from tests.hostile.attacks import Attack
from tests.hostile.drive import Health, Memory, Outcome, Target, play
from tests.hostile.provider import KEY, serve
from tests.support.gateway import GatewayProcess

LIMIT = 600.0  # seconds for everything
MEMORY_TARGET = 300 * 1024 * 1024
HEALTH_TARGET = 0.2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--url", help="a running gateway on loopback; without it one is started")
    parser.add_argument("--pid", type=int, help="its process, for its memory")
    parser.add_argument("--only", default="", metavar="TEXT", help="attacks whose item or name contains this")
    parser.add_argument("--model", default="m", help="a model that it serves")
    parser.add_argument("--key", default=os.environ.get("SLUICE_KEY", ""), help="an API key of the gateway")
    chosen = parser.parse_args()
    lines = f"Authorization: Bearer {chosen.key}\r\n".encode() if chosen.key else b""
    if chosen.url is None:
        return asyncio.run(_run_own(chosen.only))
    target = Target(_loopback(chosen.url), lines, chosen.model.encode())
    return asyncio.run(_attack(target, chosen.pid, attacks.every(own_provider=False), chosen.only))


async def _run_own(only: str) -> int:
    """Against a gateway that is started here, with a hostile provider."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = {
        "logging": {"level": "error"},
        "providers": {"p": {"baseUrl": f"http://127.0.0.1:{port}/v1", "apiKey": KEY, "anyModel": True}},
    }
    try:
        async with GatewayProcess(source) as gateway:
            target = Target((gateway.host, gateway.port), b"", b"m")
            return await _attack(target, gateway.pid, attacks.every(own_provider=True), only)
    finally:
        server.close()


async def _attack(target: Target, pid: int | None, every: Iterable[Attack], only: str) -> int:
    chosen = [each for each in every if only in each.item or only in each.name]
    memory, health = Memory(pid), Health(target.address)
    health.start()
    outcomes: list[Outcome] = []
    try:
        async with asyncio.timeout(LIMIT):
            for attack in chosen:
                # In a thread, since our provider runs on this event loop.
                outcome = await asyncio.to_thread(play, attack, target, memory, health)
                outcomes.append(outcome)
                print(_row(outcome), flush=True)
    except TimeoutError:
        print(f"stopped after {LIMIT:.0f} s")
        return 1
    finally:
        health.stop()
    return _verdict(outcomes, health)


def _verdict(outcomes: list[Outcome], health: Health) -> int:
    peak = max((each.peak for each in outcomes), default=0)
    slowest = max((each.slowest for each in outcomes), default=0.0)
    failures = [*_failures(outcomes, peak, slowest, health)]
    memory = f"{peak / 1024 / 1024:.0f} MB" if peak else "not measured (no --pid)"
    print(f"peak memory {memory} (target under {MEMORY_TARGET // 1024 // 1024} MB)")
    print(
        f"slowest /health/live {slowest * 1000:.0f} ms of {health.checks} (target under {HEALTH_TARGET * 1000:.0f} ms)"
    )
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


def _failures(outcomes: list[Outcome], peak: int, slowest: float, health: Health) -> Iterator[str]:
    if not outcomes:
        yield "no attack matches --only"
    if peak > MEMORY_TARGET:
        yield "too much memory"
    if slowest > HEALTH_TARGET:
        yield "the event loop was blocked too long"
    if health.failed:
        yield f"{health.failed} health checks failed"
    for outcome in outcomes:
        if outcome.wrong:
            yield f"{outcome.attack.item} {outcome.attack.name}: {outcome.wrong}"


def _row(outcome: Outcome) -> str:
    attack, peak = outcome.attack, f"{outcome.peak / 1024 / 1024:.0f} MB"
    status = outcome.status or "-"
    return (
        f"{attack.item}  {attack.name:<45} {status!s:>4} {peak:>8} {outcome.slowest * 1000:>6.0f} ms  {outcome.wrong}"
    )


def _loopback(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    try:
        address = ipaddress.ip_address(socket.gethostbyname(host) if ":" not in host else host)
    except (OSError, ValueError):
        raise SystemExit(f"{url!r} is no address") from None
    if not address.is_loopback or parts.scheme != "http":
        raise SystemExit("Only http:// on loopback is attacked.")
    return str(address), port


if __name__ == "__main__":
    sys.exit(main())
