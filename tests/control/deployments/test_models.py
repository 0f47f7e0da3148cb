"""The list of models for the dashboard."""

from __future__ import annotations

from tests.control.admin import TWO, AdminServer


async def test_the_body_is_that_of_the_api() -> None:
    async with AdminServer(TWO) as plane:
        assert (await plane.fetch("GET", "/admin/models")).status == 401
        answer = await plane.ask("GET", "/admin/models")
        assert (answer.status, answer.body) == (200, plane.catalog.listing)


async def test_the_lists_of_providers_are_waited_for() -> None:
    async with AdminServer({"providers": TWO["providers"], "models": TWO["models"][:1]}) as plane:
        await plane.ask("GET", "/admin/models")
        assert plane.awaited == ["twin", "twin"]  # both addresses
