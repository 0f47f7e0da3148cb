"""GET /admin/attention of a whole gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxy.control.live import ReloadResult
from tests.support.gateway import ADMIN, Gateway

ADMIN_HEADER = ("Authorization", f"Bearer {ADMIN}")
SOURCE: dict[str, Any] = {
    "database": {"enabled": False},
    "auth": {"keys": [{"name": "old", "hash": f"sha256:{'0' * 64}", "expires": "2020-01-01"}]},
    "providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}},
    "models": [{"name": name, "provider": "up"} for name in ("m", "n")],
}


async def ask(gw: Gateway, method: str, path: str) -> Any:
    client = await gw.client()
    answer = await client.fetch(method, path, headers=[ADMIN_HEADER])
    assert answer.status == 200
    return answer.json


async def test_troubles_of_all_sources_are_listed_the_worst_first(tmp_path: Path) -> None:
    async with Gateway(SOURCE | {"dataDir": str(tmp_path)}) as gw:
        assert (await ask(gw, "GET", "/admin/attention"))["troubles"] == []
        await ask(gw, "POST", "/admin/state/up%2Fm/open")
        gw.app.running.waiting = ("server.port",)
        found = await ask(gw, "GET", "/admin/attention")
        shown = [(each["severity"], each["kind"], each["deployment"]) for each in found["troubles"]]
        assert (found["total"], shown) == (2, [("error", "out", "up/m"), ("notice", "waiting", "")])
        await ask(gw, "POST", "/admin/state/n/open")
        assert (await ask(gw, "GET", "/admin/attention"))["troubles"][0]["severity"] == "critical"
        await ask(gw, "POST", "/admin/state/up%2Fm/reset")


async def test_a_service_without_an_address_is_a_trouble(tmp_path: Path) -> None:
    async with Gateway(SOURCE | {"dataDir": str(tmp_path), "services": {"web": {}}}) as gw:
        [trouble] = (await ask(gw, "GET", "/admin/attention"))["troubles"]
        assert (trouble["kind"], trouble["service"], trouble["severity"]) == ("service", "web", "error")


async def test_a_failed_reload_is_a_trouble(tmp_path: Path) -> None:
    async with Gateway(SOURCE | {"dataDir": str(tmp_path)}) as gw:
        gw.app.running.on_reload(ReloadResult(False, mistakes=["port: is no number"]))
        [trouble] = (await ask(gw, "GET", "/admin/attention"))["troubles"]
        assert trouble["kind"] == "config"
