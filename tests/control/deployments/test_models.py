"""The models for the dashboard's form."""

from __future__ import annotations

from tests.control.operated import TWO, Operated


async def test_they_are_listed_as_the_api_lists_them() -> None:
    async with Operated(TWO) as plane:
        assert (await plane.fetch("GET", "/admin/models")).status == 401
        answer = await plane.ask("GET", "/admin/models")
        assert (answer.status, answer.body) == (200, plane.catalog.listing)


async def test_the_lists_of_providers_are_waited_for_as_for_the_api() -> None:
    async with Operated({"providers": TWO["providers"], "models": TWO["models"][:1]}) as plane:
        await plane.ask("GET", "/admin/models")
        assert plane.awaited == ["twin"]
