"""Loading the configuration again, as the operator asks for it."""

from __future__ import annotations

from proxy.control.settings.reload import Reloaded
from tests.control.operated import TWO, Operated, reloaded


async def test_what_is_in_force_now_is_told_with_its_notices() -> None:
    async def again() -> Reloaded:
        return reloaded(notices=["providers.x: left out"], waits_for_start=["server.port"])

    async with Operated(TWO, reload=again) as plane:
        answer = await plane.ask("POST", "/admin/reload")
        assert answer.status == 200
        assert answer.json == {
            "loaded": True,
            "why": "asked",
            "notices": ["providers.x: left out"],
            "mistakes": [],
            "waitsForStart": ["server.port"],
        }


async def test_what_cannot_be_loaded_is_a_409_with_every_mistake() -> None:
    async def again() -> Reloaded:
        return reloaded(loaded=False, mistakes=["config.yaml: one", "config.yaml: two"])

    async with Operated(TWO, reload=again) as plane:
        answer = await plane.ask("POST", "/admin/reload")
        assert answer.status == 409
        assert answer.json["error"]["code"] == "invalid_configuration"
        assert answer.json["error"]["mistakes"] == ["config.yaml: one", "config.yaml: two"]


async def test_without_a_file_there_is_nothing_to_load() -> None:
    async with Operated(TWO) as plane:
        answer = await plane.ask("POST", "/admin/reload")
        assert (answer.status, len(answer.json["error"]["mistakes"])) == (409, 1)


async def test_it_wants_the_admin_and_post() -> None:
    async with Operated(TWO) as plane:
        assert (await plane.fetch("POST", "/admin/reload")).status == 401
        assert (await plane.ask("GET", "/admin/reload")).status == 405
