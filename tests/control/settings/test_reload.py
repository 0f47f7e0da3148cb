"""Reload on request of the operator."""

from __future__ import annotations

from proxy.control.live import ReloadResult
from tests.control.admin import TWO, AdminServer


async def test_a_reload_responds_with_its_notices() -> None:
    async with AdminServer(TWO) as plane:
        plane.reload_result = ReloadResult(
            True, "on request", ["providers.x: left out"], waits_for_start=["server.port"]
        )
        answer = await plane.ask("POST", "/admin/reload")
        assert answer.status == 200
        assert answer.json == {
            "loaded": True,
            "why": "on request",
            "notices": ["providers.x: left out"],
            "mistakes": [],
            "waitsForStart": ["server.port"],
        }


async def test_an_invalid_configuration_is_a_409_with_every_mistake() -> None:
    async with AdminServer(TWO) as plane:
        plane.reload_result = ReloadResult(False, mistakes=["config.yaml: one", "config.yaml: two"])
        answer = await plane.ask("POST", "/admin/reload")
        assert answer.status == 409
        assert answer.json["error"]["code"] == "invalid_configuration"
        assert answer.json["error"]["mistakes"] == ["config.yaml: one", "config.yaml: two"]


async def test_a_reload_without_a_file_is_a_409() -> None:
    async with AdminServer(TWO) as plane:
        answer = await plane.ask("POST", "/admin/reload")
        assert (answer.status, len(answer.json["error"]["mistakes"])) == (409, 1)


async def test_a_reload_requires_the_admin_and_post() -> None:
    async with AdminServer(TWO) as plane:
        assert (await plane.fetch("POST", "/admin/reload")).status == 401
        assert (await plane.ask("GET", "/admin/reload")).status == 405
