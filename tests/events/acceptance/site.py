"""What runs: the provider, gateway A with PostgreSQL, gateway B without a database, and ``sluice ledger consume``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from proxy.auth.apikey import new_key
from proxy.events.broker.amqp_topology import AmqpNames
from proxy.ledger.spool.folder import spool_folder
from tests.ledger.kills.site import recorder_of
from tests.support.answers import completion, json_answer
from tests.support.client import RawClient
from tests.support.gateway import ADMIN, ROOT, GatewayProcess
from tests.support.patience import within
from tests.support.upstream import Upstream

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
OWNERS = {"A": "ann", "B": "bob"}


class ConsumeProcess:
    """``sluice ledger consume``. ``output``: what it wrote."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._process: asyncio.subprocess.Process | None = None
        self.output = config.with_suffix(".consume.log")

    async def start(self) -> None:
        with self.output.open("ab") as file:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "proxy", "ledger", "consume", "--config", str(self._config)),
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.send_signal(number)
        await within(self._process.wait(), "sluice ledger consume to end")
        self._process = None


class EventSite:
    """``gateways``: by their letter."""

    def __init__(self, folder: Path, url: str, names: AmqpNames, database: str, up: Upstream) -> None:
        self.folder = folder
        self.gateways: dict[str, GatewayProcess] = {}
        self.secrets: dict[str, str] = {}
        self._configs = {letter: self._config(letter, url, names, database, up) for letter in OWNERS}
        path = folder / "consume.yaml"
        path.write_bytes(msgspec.yaml.encode(self._configs["A"] | {"models": []} | {"admin": {"token": ADMIN}}))
        self.consume = ConsumeProcess(path)

    def _config(self, letter: str, url: str, names: AmqpNames, database: str, up: Upstream) -> dict[str, Any]:
        self.secrets[letter], hashed = new_key()
        owner = OWNERS[letter]
        provider = f"up-{letter.lower()}"
        own: dict[str, Any] = {
            "A": {"database": {"url": database}, "billing": {"enabled": True, "defaultBalance": 1000}},
            "B": {"database": {"enabled": False}, "ledger": {"mode": "events"}},
        }[letter]
        ledger = {"enabled": True} | own.get("ledger", {})
        return {
            "dataDir": str(self.folder / letter),
            "routing": {"maxRetries": 0, "rateLimitRetries": 0},
            "providers": {provider: {"baseUrl": up.url, "apiKey": "secret-key"}},
            "models": [
                {"name": "m", "provider": provider, "model": "up-model", "prices": {"input": 1000, "output": 1000}}
            ],
            "auth": {"mode": "keys", "keys": [{"name": owner, "owner": owner, "hash": hashed}]},
            "budgets": [{"name": "own", "per": "owner", "tokens": 100, "window": "total", "soft": True}],
            "events": {"url": url, "exchange": names.exchange},
            "logging": {"level": "info"},
        } | own | {"ledger": ledger}  # fmt: skip

    async def start(self, letter: str) -> None:
        gateway = self.gateways[letter] = GatewayProcess(self._configs[letter])
        await gateway.start()

    async def call(self, letter: str) -> str:
        """Call the model at this gateway. The id of the request, or ``""`` if it did not answer with 200."""
        client = await RawClient(self.gateways[letter].port).connect()
        headers = [("Authorization", f"Bearer {self.secrets[letter]}")]
        try:
            answer = await client.fetch("POST", CHAT, headers=headers, json=CALL)
            return answer.header("x-request-id") if answer.status == 200 else ""
        finally:
            client.close()

    async def admin(self, letter: str, method: str, path: str, *headers: tuple[str, str], **request: Any) -> Any:
        client = await self.gateways[letter].client()
        answer = await client.fetch(method, path, headers=[("Authorization", f"Bearer {ADMIN}"), *headers], **request)
        client.close()
        assert answer.status < 300, answer.body
        return answer

    def spool(self, letter: str) -> Path:
        return spool_folder(self.folder / letter)

    async def recorder(self, letter: str) -> int:
        """The process id of the gateway's recorder, once it works."""

        async def found() -> int:
            while (pid := recorder_of(self.spool(letter))) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return pid

        return await within(found(), "a recorder")

    async def kill_recorder(self, letter: str) -> None:
        os.kill(await self.recorder(letter), signal.SIGKILL)

    async def stop(self) -> None:
        """Stop all in good order."""
        for gateway in self.gateways.values():
            gateway.signal()
        for gateway in self.gateways.values():
            await gateway.wait()
        await self.consume.end()

    async def abandon(self) -> None:
        for gateway in self.gateways.values():
            await gateway.kill()
        await self.consume.kill()
        for letter in OWNERS:
            if (pid := recorder_of(self.spool(letter))) is not None:
                os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def event_site(folder: Path, url: str, names: AmqpNames, database: str) -> AsyncIterator[EventSite]:
    """Both gateways and the consumer run."""
    async with AsyncExitStack() as stack:
        up = await stack.enter_async_context(Upstream())
        up.on(lambda request: json_answer(completion() | {"usage": USAGE}))
        site = EventSite(folder, url, names, database, up)
        stack.push_async_callback(site.abandon)
        for letter in OWNERS:
            await site.start(letter)
        await site.consume.start()
        yield site
