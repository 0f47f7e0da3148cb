"""The load: one process that runs the phases from standard input and prints the results, both as JSON.

    {"target": {...}, "phases": [["steady", {"streams": 400, ...}], ...]}
    {"steady": {"token_us": 11.2, ...}, "requests_16": {"error": "status 502 ..."}}

It reads the proxy's CPU time itself, at the very moments between which it counts. All durations are seconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from array import array
from collections.abc import Awaitable, Callable
from time import monotonic, monotonic_ns

import uvloop
from msgspec import Struct, convert

from tests.bench.client import Caller, StreamClient
from tests.bench.dialects import DIALECTS
from tests.bench.gets import TRAFFIC
from tests.bench.measure import busy_ns, cpu_ns, memory
from tests.bench.traffic import Events, Traffic
from tests.bench.verify import Samples, Stream

Metrics = dict[str, float]


class Void(Exception):
    """The measurement is void; the message is the reason."""


class FellBehind(Void):
    """Tokens fell behind their rate: the proxy is too slow, or the machine was busy."""


class Target(Struct):
    """Where to send the load. ``path`` is a template (``Traffic``). ``pid`` 0: there is no proxy, only the upstream.

    ``rewrites``: the provider's dialect, for a proxy that writes events of its own; ``""``: they pass as they are.
    """

    port: int
    dialect: str
    path: str
    model: str
    rewrites: str
    pid: int
    core: int

    @property
    def traffic(self) -> Traffic:
        return TRAFFIC[self.dialect]

    def sent(self, *, calls: bool) -> Events | None:
        """What the upstream sends, where the client gets something else."""
        return DIALECTS[self.rewrites].events(calls=calls) if self.rewrites else None


class Window:
    """The proxy's CPU time, and its core's, between two moments."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.took = monotonic_ns()
        self.busy = busy_ns(target.core)
        self.cpu = cpu_ns(target.pid) if target.pid else 0

    def close(self, count: int, unit: str) -> Metrics:
        """CPU per counted thing in us, and the percentage of the core used by other processes."""
        cpu = cpu_ns(self.target.pid) - self.cpu if self.target.pid else 0
        busy = busy_ns(self.target.core) - self.busy
        took = monotonic_ns() - self.took
        if not count:
            raise Void("nothing came within the window")
        if not self.target.pid:
            return {}
        return {f"{unit}_us": cpu / 1000 / count, "foreign": max(0.0, (busy - cpu) / took * 100)}


class Crowd:
    """Streams of one kind against the target, and whether all were complete. ``calls``: of a tool's arguments."""

    def __init__(self, target: Target, events: int, interval: float, *, calls: bool = False) -> None:
        self.target = target
        self.events = events
        self.expected = target.traffic.events(calls=calls)
        self.sent = target.sent(calls=calls)
        self.request = target.traffic.stream_request(target.path, target.model, events, interval, calls=calls)
        self.samples = Samples()
        self.running = 0
        self.idle: list[StreamClient] = []
        self.errors: list[str] = []
        self.ended = asyncio.Event()  # one more has

    async def begin(self) -> None:
        """Starts one stream, on an idle connection if there is one."""
        self.running += 1
        if self.idle:
            client = self.idle.pop()
        else:
            loop = asyncio.get_running_loop()
            try:
                client = (
                    await loop.create_connection(lambda: StreamClient(self._done), "127.0.0.1", self.target.port)
                )[1]
            except OSError as error:
                self.running -= 1
                self.errors.append(f"no connection: {error}")
                return
        client.ask(self.request, Stream(self.expected, self.events, self.samples, self.sent))

    async def ramp(self, streams: int, within: float) -> None:
        """Starts them evenly over that time."""
        began = monotonic()
        starting: set[asyncio.Task[None]] = set()
        for number in range(streams):
            ahead = began + number * within / streams - monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            task = asyncio.create_task(self.begin())
            starting.add(task)
            task.add_done_callback(starting.discard)
        if starting:
            await asyncio.wait(starting)

    async def all_started(self, streams: int) -> None:
        while len(self.samples.first) < streams:
            self.check()
            await asyncio.sleep(0.01)

    async def all_ended(self) -> None:
        while self.running:
            self.ended.clear()
            await self.ended.wait()
        self.check()

    def check(self) -> None:
        if self.errors:
            raise Void(f"{len(self.errors)} streams broke; the first: {self.errors[0]}")

    def close(self) -> None:
        for client in self.idle:
            client.transport.close()

    def _done(self, client: StreamClient, error: str | None) -> None:
        self.running -= 1
        self.ended.set()
        if error is None:
            self.idle.append(client)
        else:
            self.errors.append(error)


def quantile(values: array[int], share: float) -> float:
    """Nearest rank, in ms."""
    if not values:
        raise Void("no samples")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6


async def steady(
    target: Target, streams: int, interval: float, window: float, probes: float, *, calls: bool = False
) -> Metrics:
    """CPU per token and added gaps of running streams; then the time to first token of new ones beside them.

    ``probes``: seconds in which short streams start, 400 a second (fewer where there are few streams).
    """
    ramp, settle = 0.5, 0.3
    crowd = Crowd(target, round((ramp + settle + window + probes + 0.4) / interval), interval, calls=calls)
    await crowd.ramp(streams, ramp)
    await crowd.all_started(streams)
    await asyncio.sleep(settle)
    crowd.samples.recording = True
    tokens = crowd.samples.tokens
    opened = Window(target)
    await asyncio.sleep(window)
    tokens = crowd.samples.tokens - tokens
    metrics = opened.close(tokens, "token")
    crowd.samples.recording = False
    if tokens < 0.97 * streams * window / interval:
        raise FellBehind(f"fell behind: only {tokens / (streams * window / interval):.0%} of the tokens came in time")

    short = Crowd(target, 2, interval)
    await short.ramp(round(probes * min(400, streams)), probes)
    await short.all_ended()
    await crowd.all_ended()
    crowd.close()
    short.close()
    return metrics | {
        "ttft_p50": quantile(short.samples.first, 0.5),
        "ttft_p99": quantile(short.samples.first, 0.99),
        "gap_p99": quantile(crowd.samples.gaps, 0.99),
    }


async def requests(target: Target, connections: int, window: float, size: int = 0) -> Metrics:
    """CPU per JSON answer and answers per second of a closed loop. ``size``: of the requests' bodies, 0: small."""
    loop = asyncio.get_running_loop()
    errors: list[str] = []
    callers = []
    for _ in range(connections):
        caller = Caller(target.traffic, target.path, target.model, errors.append, size)
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", target.port)  # type: ignore[misc]
        callers.append(caller)
    await asyncio.sleep(0.25)
    before = sum(caller.answers for caller in callers)
    began = monotonic()
    opened = Window(target)
    await asyncio.sleep(window)
    answers = sum(caller.answers for caller in callers) - before
    metrics = opened.close(answers, "request")
    took = monotonic() - began
    for caller in callers:
        caller.stopping = True
    await asyncio.wait([caller.over for caller in callers])
    if errors:
        raise Void(f"{len(errors)} connections failed; the first: {errors[0]}")
    return metrics | {"rps": answers / took}


async def idle(target: Target) -> Metrics:
    """Memory after a first request (sent by the caller) and a first stream."""
    crowd = Crowd(target, 3, 0.02)
    await crowd.ramp(1, 0)
    await crowd.all_ended()
    crowd.close()
    await asyncio.sleep(0.2)
    resident, proportional = memory(target.pid)
    return {"idle_mb": resident / 1e6, "idle_pss_mb": proportional / 1e6}


async def crowded(target: Target, streams: int) -> Metrics:
    """Memory while that many streams are open, each with an event a second."""
    ramp = streams / 1000
    crowd = Crowd(target, round(ramp) + 4, 1.0)
    await crowd.ramp(streams, ramp)
    await crowd.all_started(streams)
    await asyncio.sleep(0.5)
    if crowd.running < streams:
        raise Void(f"only {crowd.running} of {streams} streams were open at the same time")
    resident, _ = memory(target.pid)
    await crowd.all_ended()
    crowd.close()
    return {"crowded_mb": resident / 1e6}


async def endurance(target: Target, streams: int, rate: float, seconds: float) -> Metrics:
    """Many streams for a long time: all complete, the longest wait for a token, CPU per token."""
    crowd = Crowd(target, round(rate * seconds), 1 / rate)
    await crowd.ramp(streams, 4.0)
    await crowd.all_started(streams)
    crowd.samples.recording = True
    tokens = crowd.samples.tokens
    opened = Window(target)
    await asyncio.sleep(seconds - 8.0)
    tokens = crowd.samples.tokens - tokens
    crowd.samples.recording = False
    metrics = opened.close(tokens, "token")
    await crowd.all_ended()
    crowd.close()
    expected = streams * round(rate * seconds)
    if crowd.samples.tokens != expected:
        raise Void(f"{crowd.samples.tokens} tokens of {expected}")
    return metrics | {
        "gap_p99": quantile(crowd.samples.gaps, 0.99),
        "longest": crowd.samples.longest / 1e9,
        "tokens": float(expected),
    }


async def large_body(target: Target, streams: int, interval: float, size: int, times: int) -> Metrics:
    """Added gaps of running streams (ms) while a body of ``size`` bytes is sent, once after the other."""
    crowd = Crowd(target, round((6 + 2 * times) / interval), interval)
    await crowd.ramp(streams, 0.5)
    await crowd.all_started(streams)
    await asyncio.sleep(0.3)
    crowd.samples.recording = True
    await asyncio.sleep(1.5)
    calm = max(crowd.samples.gaps) / 1e6
    crowd.samples.gaps = array("q")
    took = []
    for _ in range(times):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.bench.upload", str(target.port), target.path, target.model, str(size)),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise Void(f"the upload failed: {output.decode()}")
        took.append(float(output))
    if crowd.running < streams:
        raise Void("the upload outlasted the streams")
    crowd.samples.recording = False
    await crowd.all_ended()
    crowd.close()
    return {"calm_max": calm, "gap_max": max(crowd.samples.gaps) / 1e6, "upload_s": sorted(took)[len(took) // 2]}


# Each with its timeout in seconds.
PHASES: dict[str, tuple[Callable[..., Awaitable[Metrics]], int]] = {
    "steady": (steady, 30),
    "requests": (requests, 15),
    "idle": (idle, 10),
    "crowded": (crowded, 20),
    "endurance": (endurance, 90),
    "large_body": (large_body, 60),
}


async def play(target: Target, phases: list[tuple[str, dict[str, float]]]) -> dict[str, Metrics | dict[str, str]]:
    """Run the phases in order; an error in one does not end the others."""
    results: dict[str, Metrics | dict[str, str]] = {}
    for number, (name, options) in enumerate(phases):
        phase, limit = PHASES[name]
        try:
            async with asyncio.timeout(limit):
                try:
                    results[str(number)] = await phase(target, **options)
                except FellBehind:
                    await asyncio.sleep(limit / 6)  # the disturbance may be over, and the streams have ended
                    results[str(number)] = {"retried": 1.0, **await phase(target, **options)}
        except Void as void:
            results[str(number)] = {"error": str(void)}
        except TimeoutError:
            results[str(number)] = {"error": f"not over after {limit} s"}
    return results


if __name__ == "__main__":
    gc.disable()  # a collection in here would look like a slow proxy
    plan = json.load(sys.stdin)
    print(json.dumps(uvloop.run(play(convert(plan["target"], Target), plan["phases"]))))
